import { describe, expect, it } from "vitest";
import { inOrder, outlined, reachable } from "./graph.ts";
import { nested, shop } from "./samples.ts";
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

  it("walks into an open container and out of it again, and stays in its own level", () => {
    expect(walk(nested(), "each", "down")).toBe("pick");
    expect(walk(nested(), "pick", "up")).toBe("each");
    expect(walk(nested(), "pick", "left")).toBe("each");
    expect(walk(nested(), "pack", "right")).toBeNull();
    expect(walk(nested(), "each", "down", new Set(["each"]))).toBe("note_down");
  });

  it("outlines what a container holds right after it, one level deeper, unless it is closed", () => {
    const rows = outlined(nested()).map(({ step, level }) => `${level} ${step.key}`);
    const order = rows.join(", ");
    expect(order).toContain("1 each, 2 pick, 2 turns, 3 ask, 3 wait, 2 pack");
    const closed = outlined(nested(), new Set(["each"])).map(({ step }) => step.key);
    expect(closed).toEqual(["load", "note_down", "each", "report"]);
  });
});
