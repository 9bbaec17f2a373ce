import { describe, expect, it } from "vitest";
import { Frames } from "./frames.ts";
import { overlap } from "./geometry.ts";
import { arranged, type ElkGraph, elkGraph } from "./layout.ts";
import { kindOf, nested, shop } from "./samples.ts";

/** A layout that puts the steps of a level side by side, in their order. */
const inARow = async (graph: ElkGraph) => ({
  children: graph.children.map((child, index, all) => ({
    ...child,
    x: 500 + all.slice(0, index).reduce((sum, before) => sum + before.width + 80, 0),
    y: 40,
  })),
});

describe("layout", () => {
  it("names every port an edge uses, also one the step no longer has", () => {
    const doc = { ...shop(), edges: [{ from: "reserve", port: "gone", to: "charge" }] };
    const graph = elkGraph(doc, new Frames(doc, kindOf));
    const ports = new Set(graph.children.flatMap((child) => child.ports.map((port) => port.id)));
    for (const edge of graph.edges)
      for (const end of [...edge.sources, ...edge.targets]) expect(ports).toContain(end);
  });

  it("keeps the top left corner of the drawing", async () => {
    const places = await arranged(shop(), new Frames(shop(), kindOf), inARow);
    expect(places.get("reserve")).toEqual([0, 0]);
  });

  it("lays out every level by itself, frames as large as what they hold", async () => {
    const asked: ElkGraph[] = [];
    const doc = nested();
    const places = await arranged(doc, new Frames(doc, kindOf), async (graph) => {
      asked.push(graph);
      return inARow(graph);
    });
    expect(asked.map((graph) => graph.id)).toEqual(["turns", "each", "root"]);
    const after = {
      ...doc,
      steps: doc.steps.map((step) => ({ ...step, at: places.get(step.key) ?? step.at })),
    };
    const frames = new Frames(after, kindOf);
    for (const graph of asked) {
      for (const child of graph.children) {
        const box = frames.boxOf(child.id);
        expect(box).toMatchObject({ width: child.width, height: child.height });
        const others = graph.children.filter((other) => other.id !== child.id);
        for (const other of others)
          expect(overlap(box as never, frames.boxOf(other.id) as never)).toBe(false);
      }
    }
    for (const key of ["each", "turns"]) {
      const { x, y } = frames.boxOf(key) as { x: number; y: number };
      expect(places.get(key)).toEqual([x, y]);
    }
  });
});
