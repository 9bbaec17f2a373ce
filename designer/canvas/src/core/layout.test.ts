import { describe, expect, it } from "vitest";
import { elkGraph, placesFrom } from "./layout.ts";
import { kindOf, shop } from "./samples.ts";

describe("layout", () => {
  it("names every port an edge uses, also one the step no longer has", () => {
    const doc = { ...shop(), edges: [{ from: "reserve", port: "gone", to: "charge" }] };
    const graph = elkGraph(doc, kindOf);
    const ports = new Set(graph.children.flatMap((child) => child.ports.map((port) => port.id)));
    for (const edge of graph.edges)
      for (const end of [...edge.sources, ...edge.targets]) expect(ports).toContain(end);
  });
  it("keeps the top left corner of the drawing", () => {
    const graph = elkGraph(shop(), kindOf);
    const placed = graph.children.map((child, index) => ({ ...child, x: 500 + index * 100, y: 40 }));
    const places = placesFrom(shop(), { children: placed });
    expect([...places.values()][0]).toEqual([0, 0]);
  });
});
