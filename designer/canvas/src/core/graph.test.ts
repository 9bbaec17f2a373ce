import { describe, expect, it } from "vitest";
import { freePlace } from "./geometry.ts";
import { inOrder, reachable } from "./graph.ts";
import { kindOf, shop } from "./samples.ts";
import { walk } from "./walk.ts";

describe("graph", () => {
  it("reaches what follows and nothing else", () => {
    expect([...reachable(shop(), "charge")].sort()).toEqual(["receipt", "refund"]);
  });

  it("orders steps so that no arrow points back, and keeps steps on a cycle", () => {
    const doc = { ...shop(), steps: [...shop().steps].reverse() };
    const keys = inOrder(doc).map((item) => item.key);
    for (const edge of doc.edges) expect(keys.indexOf(edge.from)).toBeLessThan(keys.indexOf(edge.to));
    const cyclic = { ...doc, edges: [...doc.edges, { from: "receipt", to: "reserve" }] };
    expect(inOrder(cyclic)).toHaveLength(4);
  });

  it("walks along connections, and to the nearest step where there is none", () => {
    expect(walk(shop(), "reserve", "right")).toBe("charge");
    expect(walk(shop(), "receipt", "left")).toBe("charge");
    expect(walk(shop(), "receipt", "down")).toBe("refund");
    expect(walk(shop(), "receipt", "right")).toBeNull();
  });

  it("finds a free place below a taken one", () => {
    const [x, y] = freePlace(shop(), [0, 0], kindOf);
    expect(x).toBe(0);
    expect(y).toBeGreaterThanOrEqual(56);
  });
});
