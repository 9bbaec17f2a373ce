import type { Document, Step } from "../src/core/types.ts";

export const sampleDocument = (): Document => ({
  format: "branchline/1",
  name: "Order payment",
  input: {
    type: "object",
    properties: {
      order: { type: "object", description: "The order to pay" },
      express: { type: "boolean", default: false },
    },
    required: ["order"],
  },
  output: { $: "{'receipt': steps.charge_card.body.id}" },
  settings: { deadline: "PT2H" },
  regions: [],
  steps: [
    {
      key: "reserve_stock",
      name: "Reserve stock",
      kind: "call",
      at: [0, 160],
      config: {
        function: "shop.reserve",
        arguments: { sku: { $: "input.order.sku" }, quantity: { $: "input.order.quantity" } },
      },
      retry: { attempts: 5, first: "PT1S", factor: 2, cap: "PT1M" },
      undo: { kind: "call", config: { function: "shop.release", arguments: { id: { $: "output.id" } } } },
    },
    {
      key: "check_total",
      name: "Large order?",
      kind: "choose",
      at: [288, 160],
      config: { mode: "exclusive", cases: [{ port: "large", when: { $: "input.order.total > 100" } }] },
    },
    {
      key: "approve",
      name: "Approve large order",
      kind: "human_task",
      at: [576, 56],
      config: {
        title: "Approve a large order",
        outcomes: [
          { key: "approved", label: "Approve" },
          { key: "rejected", label: "Reject" },
        ],
        assignees: { groups: ["managers"] },
        due: "P2D",
        fields: [{ key: "reason", kind: "long_text", label: "Reason", required: true }],
      },
    },
    {
      key: "charge_card",
      name: "Charge card",
      kind: "http",
      at: [872, 192],
      config: {
        method: "POST",
        url: "https://pay.example.com/charges",
        body: { amount: { $: "input.order.total" } },
      },
    },
    {
      key: "receipt",
      name: "Send receipt",
      kind: "email",
      at: [1160, 192],
      config: {
        to: [{ $: "input.order.email" }],
        subject: { $: "f'Receipt {steps.charge_card.body.id}'" },
        text: "Thank you.",
      },
    },
    {
      key: "apologise",
      name: "Apologise",
      kind: "email",
      at: [1160, 328],
      config: { to: [{ $: "input.order.email" }], subject: "We could not take your payment", text: "" },
    },
    {
      key: "ping_shop",
      name: "Tell the shop",
      kind: "http",
      at: [576, 328],
      config: { method: "POST" },
      disabled: false,
    },
  ],
  edges: [
    { from: "reserve_stock", to: "check_total" },
    { from: "check_total", port: "large", to: "approve" },
    { from: "check_total", port: "otherwise", to: "charge_card" },
    { from: "approve", port: "approved", to: "charge_card" },
    { from: "charge_card", to: "receipt" },
    { from: "charge_card", port: "error", to: "apologise" },
  ],
  notes: [
    {
      key: "note",
      at: [0, 24],
      size: [240, 72],
      text: "Stock is held for 15 minutes.\nAsk Mona before changing this.",
    },
  ],
});

const inner = (
  key: string,
  name: string,
  kind: string,
  at: [number, number],
  parent: string,
  config = {},
): Step => ({
  key,
  name,
  kind,
  at,
  config: config as Step["config"],
  parent,
});

/** Containers in containers, and regions. */
export const nestedDocument = (): Document => ({
  ...sampleDocument(),
  name: "Orders of a day",
  settings: { on_failure: "undo", concurrency: { limit: 1, key: { $: "input.day" }, on_limit: "queue" } },
  regions: [
    { key: "payment", name: "Payment", pattern: "sequence", steps: ["reserve", "charge"] },
    { key: "tell", pattern: "event", steps: ["report"] },
  ],
  steps: [
    {
      key: "load",
      name: "Load orders",
      kind: "http",
      at: [0, 176],
      config: { url: "https://shop.example.com/orders" },
    },
    {
      key: "each",
      name: "For each order",
      kind: "for_each",
      at: [288, 120],
      config: { items: { $: "steps.load.body.orders" }, parallel: 8 },
    },
    inner("reserve", "Reserve stock", "call", [336, 232], "each", { function: "shop.reserve" }),
    inner("charge", "Charge card", "http", [624, 232], "each", { url: "https://pay.example.com" }),
    inner("carrier", "Until a carrier takes it", "repeat", [912, 200], "each", {
      until: { $: "last.accepted" },
      turns: 5,
    }),
    inner("offer", "Offer to a carrier", "http", [936, 280], "carrier", {
      url: "https://freight.example.com",
    }),
    inner("pause", "Pause", "delay", [1224, 280], "carrier", { for: "PT10M" }),
    {
      key: "report",
      name: "Daily report",
      kind: "sub_workflow",
      at: [1640, 176],
      config: { workflow: "report" },
    },
    {
      key: "audit",
      name: "Careful part",
      kind: "scope",
      at: [1640, 320],
      config: { on_failure: "continue" },
    },
  ],
  edges: [
    { from: "load", to: "each" },
    { from: "reserve", to: "charge" },
    { from: "charge", to: "carrier" },
    { from: "offer", to: "pause" },
    { from: "each", to: "report" },
    { from: "each", port: "error", to: "audit" },
  ],
  notes: [],
});

/** The graph of the measurements: 1.3 edges a step, in rows of forty. */
export function bigDocument(count: number): Document {
  const steps: Step[] = Array.from({ length: count }, (_, index) => ({
    key: `step_${index}`,
    name: `Step ${index}`,
    kind: ["call", "http", "transform", "email"][index % 4] as string,
    at: [(index % 40) * 288, Math.floor(index / 40) * 136],
    config: { url: "https://example.com/" },
  }));
  const edges = steps.flatMap((_, index) => {
    const to = [index + 1, ...(index % 3 === 0 ? [index + 41] : [])].filter((next) => next < count);
    return to.map((next) => ({ from: `step_${index}`, to: `step_${next}` }));
  });
  return { ...sampleDocument(), name: "Big", steps, edges, notes: [] };
}
