import { describe, expect, it } from "vitest";
import type { Command } from "./command.ts";
import {
  addStep,
  editStep,
  insertIntoEdge,
  newStep,
  remove,
  rename,
  renameKey,
  toggleDisabled,
} from "./edits.ts";
import { edgeId, findStep } from "./graph.ts";
import { KINDS, shop, step } from "./samples.ts";
import { summaryOf } from "./summary.ts";
import type { Document } from "./types.ts";

const done = (doc: Document, command: Command | null): Document => {
  if (!command) throw new Error("The edit changed nothing.");
  return command.apply(doc);
};
const ids = (doc: Document): string[] => doc.edges.map(edgeId);

describe("rename", () => {
  it("lets the key follow the name, in edges and in every expression", () => {
    const after = done(shop(), rename(shop(), "reserve", "Hold stock"));
    expect(findStep(after, "hold_stock")?.name).toBe("Hold stock");
    expect(ids(after)).toContain("hold_stock:out:charge");
    expect(findStep(after, "charge")?.config.url).toEqual({ $: "steps.hold_stock.url" });
    expect(findStep(after, "receipt")?.config.value).toEqual({
      $: "f'{steps.charge.id} {steps[\"hold_stock\"]}'",
    });
  });

  it("leaves plain text alone, which only looks like an expression", () => {
    const after = done(shop(), rename(shop(), "reserve", "Hold stock"));
    expect(findStep(after, "charge")?.config.body).toBe("steps.reserve");
  });

  it("keeps a key that somebody chose", () => {
    const doc = { ...shop(), steps: [step("r1", { name: "Reserve" })], edges: [] };
    expect(findStep(done(doc, rename(doc, "r1", "Hold")), "r1")?.name).toBe("Hold");
  });

  it("renames a step in what a cancel step names", () => {
    const cut = step("cut", { kind: "cancel", config: { steps: ["charge", "ship"], as: "cancelled" } });
    const before = shop();
    before.steps.push(cut);
    const after = done(before, renameKey(before, "charge", "pay"));
    expect(findStep(after, "cut")?.config.steps).toEqual(["pay", "ship"]);
    expect(summaryOf(cut, undefined)).toBe("Cancels charge, ship");
  });

  it("renames a branch where its join is read, and nothing else that is called so", () => {
    const doc = shop();
    const source =
      "join.branches.charge.output + join.branches['charge'].state + len(join.missing) + charge.id";
    doc.steps.push(step("meet", { config: { value: { $: source } } }));
    const after = done(doc, renameKey(doc, "charge", "pay"));
    expect(findStep(after, "meet")?.config.value).toEqual({
      $: "join.branches.pay.output + join.branches['pay'].state + len(join.missing) + charge.id",
    });
  });

  it("does not touch a longer key that starts alike", () => {
    const doc = shop();
    doc.steps.push(step("charge_2", { config: { value: { $: "steps.charge.id + steps.charge_2" } } }));
    const after = done(doc, renameKey(doc, "charge", "pay"));
    expect(findStep(after, "charge_2")?.config.value).toEqual({ $: "steps.pay.id + steps.charge_2" });
  });
});

describe("remove", () => {
  it("heals what led to the step with what followed it, not with its failure path", () => {
    const after = done(shop(), remove(shop(), new Set(["charge"]), true));
    expect(ids(after)).toEqual(["reserve:out:receipt"]);
  });

  it("heals a whole chain that is removed at once", () => {
    const after = done(shop(), remove(shop(), new Set(["charge", "receipt"]), true));
    expect(ids(after)).toEqual([]);
    expect(after.steps.map((item) => item.key)).toEqual(["reserve", "refund"]);
  });

  it("without healing leaves no loose connection", () => {
    expect(ids(done(shop(), remove(shop(), new Set(["charge"]))))).toEqual([]);
  });
});

describe("add", () => {
  it("wires a new step in place of a connection", () => {
    const doc = shop();
    const fresh = newStep(doc, KINDS.http as never, [10, 13]);
    const wire = {
      from: { key: "reserve", port: "out" },
      to: "charge",
      instead: { from: "reserve", to: "charge" },
    };
    const after = done(doc, addStep(doc, fresh, wire));
    expect(fresh.at).toEqual([8, 16]);
    expect(ids(after)).toEqual(
      expect.arrayContaining(["reserve:out:http_request", "http_request:out:charge"]),
    );
    expect(ids(after)).not.toContain("reserve:out:charge");
  });

  it("gives a second step of a kind the next free key", () => {
    const doc = { ...shop(), steps: [step("transform"), step("transform_2")] };
    expect(newStep(doc, KINDS.transform as never, [0, 0]).key).toBe("transform_3");
  });

  it("puts a loose step into a connection", () => {
    const doc = { ...shop(), steps: [...shop().steps, step("check")] };
    const after = done(
      doc,
      insertIntoEdge(doc, "check", { from: "charge", port: "error", to: "refund" }, "out"),
    );
    expect(ids(after)).toEqual(expect.arrayContaining(["charge:error:check", "check:out:refund"]));
  });
});

describe("small edits", () => {
  it("disables all when one of them runs, enables all when none does", () => {
    const keys = new Set(["reserve", "charge"]);
    const once = done(shop(), toggleDisabled(shop(), keys));
    expect(once.steps.map((item) => item.disabled ?? false)).toEqual([true, true, false, false]);
    expect(done(once, toggleDisabled(once, keys))).toEqual(shop());
  });

  it("removes a field that is set to undefined", () => {
    const doc = done(shop(), editStep(shop(), "charge", { timeout: "PT5S" }));
    expect(
      "timeout" in
        (findStep(done(doc, editStep(doc, "charge", { timeout: undefined } as never)), "charge") ?? {}),
    ).toBe(false);
  });

  it("makes no command when nothing would change", () => {
    expect(editStep(shop(), "charge", { name: "Charge" })).toBeNull();
  });
});
