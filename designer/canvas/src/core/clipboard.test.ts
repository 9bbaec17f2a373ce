import { describe, expect, it } from "vitest";
import { copyOf, fromText, paste, toText } from "./clipboard.ts";
import { noteId } from "./edits.ts";
import { edgeId, findStep } from "./graph.ts";
import { shop } from "./samples.ts";
import { emptyDocument } from "./types.ts";

const parsed = (text: string) => {
  const answer = fromText(text);
  if (!answer.ok) throw new Error(answer.why);
  return answer.document;
};

describe("copy and paste", () => {
  it("carries steps, notes and the connections between them through text into another drawing", () => {
    const text = toText(copyOf(shop(), new Set(["charge", "refund", noteId("note")])));
    const after = paste(emptyDocument("Other"), parsed(text), { at: [100, 100] })?.apply(
      emptyDocument("Other"),
    );
    expect(after?.steps.map((step) => step.key)).toEqual(["charge", "refund"]);
    expect(after?.edges.map(edgeId)).toEqual(["charge:error:refund"]);
    expect(after?.notes).toHaveLength(1);
    expect(
      Math.min(
        ...(after?.steps ?? []).map((step) => step.at[0]),
        ...(after?.notes ?? []).map((n) => n.at[0]),
      ),
    ).toBe(104);
  });

  it("gives free keys, and renames them inside the pasted expressions only", () => {
    const doc = shop();
    const command = paste(doc, copyOf(doc, new Set(["charge", "receipt"])), { shift: [32, 32] });
    const after = command?.apply(doc) ?? doc;
    expect(command?.select).toEqual(["charge_2", "receipt_2"]);
    expect(findStep(after, "receipt_2")?.config.value).toEqual({
      $: "f'{steps.charge_2.id} {steps[\"reserve\"]}'",
    });
    expect(findStep(after, "receipt")?.config).toEqual(findStep(doc, "receipt")?.config);
    expect(command?.revert(after)).toEqual(doc);
  });

  it("pastes the same text again and again without a clash", () => {
    let doc = shop();
    const copied = copyOf(doc, new Set(doc.steps.map((step) => step.key)));
    for (let turn = 0; turn < 5; turn += 1) doc = paste(doc, copied, { shift: [8, 8] })?.apply(doc) ?? doc;
    expect(new Set(doc.steps.map((step) => step.key)).size).toBe(24);
  });

  it.each([
    ["hello", /not JSON/],
    ["12", /not a Branchline document/],
    ['{"format": "other/2", "steps": []}', /"other\/2"/],
    ['{"steps": [{"key": "a"}]}', /list of objects/],
    ['{"steps": 1}', /list of objects/],
  ])("%s is refused with a reason", (text, why) => {
    const answer = fromText(text);
    expect(answer.ok ? "" : answer.why).toMatch(why);
  });

  it("reads a whole document back as it was written", () => {
    expect(parsed(JSON.stringify(shop()))).toEqual(shop());
  });

  it("reads a bare list of steps and fills what is missing", () => {
    expect(parsed('[{"key": "a", "kind": "end"}]').steps).toEqual([
      { key: "a", name: "a", kind: "end", at: [0, 0], config: {} },
    ]);
  });
});
