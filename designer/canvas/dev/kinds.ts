import type { Catalogue, Schema, StepKind } from "../src/core/types.ts";

const ui = (widget: string, label: string, more: object = {}) => ({ "x-ui": { widget, label, ...more } });
const kind = (
  group: StepKind["group"],
  name: string,
  title: string,
  icon: string,
  description: string,
  properties: Record<string, Schema>,
  more: Partial<StepKind> = {},
): StepKind => ({
  kind: name,
  group,
  name: title,
  description,
  icon,
  ports: ["out", "error", "timeout"],
  ports_from: null,
  timeout_from: null,
  config_schema: { type: "object", properties, required: Object.keys(properties).slice(0, 1) },
  effects: "none",
  ...more,
});

export const CATALOGUE: Catalogue = {
  kinds: [
    kind("do", "call", "Call a function", "square-function", "Runs a registered Python function.", {
      function: { type: "string", ...ui("function", "Function", { expression: false }) },
      arguments: { type: "object", ...ui("arguments", "Arguments", { expression: false }) },
    }),
    kind("do", "script", "Script", "square-terminal", "Python in a sandbox.", {
      code: {
        type: "string",
        ...ui("code", "Code", { expression: false, help: "The value of the last line is the output." }),
      },
      arguments: { type: "object", ...ui("map", "Arguments") },
    }),
    kind("do", "http", "HTTP request", "globe", "Calls an address outside.", {
      url: { type: "string", ...ui("text", "URL", { placeholder: "https://", order: 2 }) },
      method: {
        enum: ["GET", "POST", "PUT", "PATCH", "DELETE"],
        default: "GET",
        ...ui("choice", "Method", { order: 1, expression: false }),
      },
      query: { type: "object", ...ui("map", "Query", { order: 3 }) },
      headers: { type: "object", ...ui("map", "Headers", { order: 4 }) },
      body: ui("json", "Body", { order: 5 }),
      body_as: {
        enum: ["json", "form", "text"],
        default: "json",
        ...ui("choice", "Send body as", { order: 6, expression: false }),
      },
      accept_status: {
        type: "array",
        items: { type: "integer" },
        ...ui("list", "Accepted statuses", { order: 7 }),
      },
    }),
    kind("do", "email", "E-mail", "mail", "Sends one message.", {
      to: { type: "array", items: { type: "string" }, ...ui("list", "To") },
      subject: { type: "string", ...ui("text", "Subject") },
      text: { type: "string", ...ui("long_text", "Text") },
    }),
    kind("do", "transform", "Transform", "braces", "Builds a value from others.", {
      value: ui("json", "Value"),
    }),
    kind(
      "flow",
      "choose",
      "Choose",
      "split",
      "Takes the first true case.",
      {
        mode: {
          enum: ["exclusive", "inclusive"],
          default: "exclusive",
          ...ui("choice", "Take", { expression: false }),
        },
        cases: {
          type: "array",
          items: {
            type: "object",
            required: ["port", "when"],
            properties: {
              port: { type: "string", ...ui("text", "Port", { expression: false }) },
              when: ui("condition", "When"),
            },
          },
          ...ui("cases", "Cases", { expression: false }),
        },
      },
      { ports: ["otherwise", "error"], ports_from: "cases" },
    ),
    kind(
      "flow",
      "for_each",
      "For each",
      "list-checks",
      "Runs the steps inside once for every item of a list.",
      {
        items: { type: "array", ...ui("json", "Items", { placeholder: "input.orders", order: 1 }) },
        parallel: {
          type: "integer",
          minimum: 1,
          ...ui("number", "At once", { order: 2, expression: false }),
        },
        tolerate: {
          type: "object",
          properties: {
            count: { type: "integer", ...ui("number", "Failed items", { expression: false }) },
            percent: { type: "number", ...ui("number", "or percent", { expression: false }) },
          },
          ...ui("object", "Tolerate", { order: 3, expression: false }),
        },
      },
      { ports: ["out", "error"] },
    ),
    kind(
      "flow",
      "repeat",
      "Repeat",
      "repeat",
      "Runs the steps inside again and again.",
      {
        turns: { type: "integer", ...ui("number", "Turns at most", { order: 3, expression: false }) },
        until: ui("condition", "Until", { order: 1 }),
        while: ui("text", "While", { order: 2 }),
      },
      { ports: ["out", "error"] },
    ),
    kind(
      "flow",
      "scope",
      "Scope",
      "square",
      "Holds steps with a failure policy of their own.",
      {
        on_failure: {
          enum: ["fail", "undo", "continue"],
          default: "fail",
          ...ui("choice", "When a step inside fails", { expression: false }),
        },
      },
      { ports: ["out", "error"] },
    ),
    kind(
      "flow",
      "sub_workflow",
      "Sub-workflow",
      "workflow",
      "Runs another workflow and waits for its output.",
      {
        workflow: { type: "string", ...ui("workflow", "Workflow", { expression: false, order: 1 }) },
        version: { type: "integer", ...ui("number", "Version", { expression: false, order: 2 }) },
        input: { type: "object", ...ui("json", "Input", { order: 3 }) },
      },
    ),
    kind("flow", "merge", "Merge", "merge", "Where branches meet.", {}),
    kind(
      "flow",
      "end",
      "End",
      "flag",
      "Ends the run here.",
      {
        result: {
          enum: ["succeed", "fail"],
          default: "succeed",
          ...ui("choice", "Result", { expression: false }),
        },
        message: { type: "string", ...ui("long_text", "Message") },
      },
      { ports: [] },
    ),
    kind(
      "wait",
      "delay",
      "Delay",
      "clock",
      "Waits for a time.",
      {
        for: { type: "string", ...ui("duration", "For") },
        until: { type: "string", ...ui("text", "Until") },
      },
      { ports: ["out", "error"] },
    ),
    kind(
      "wait",
      "wait_event",
      "Wait for event",
      "radio",
      "Waits until an event comes.",
      {
        type: { type: "string", ...ui("text", "Event type", { placeholder: "order.paid", order: 1 }) },
        key: { type: "string", ...ui("text", "Event key", { order: 2 }) },
        where: ui("condition", "Where", { placeholder: "event.data.amount > 100", order: 3 }),
        deadline: { type: "string", ...ui("duration", "Deadline", { order: 4 }) },
        look_back: { type: "string", ...ui("duration", "Look back", { order: 5 }) },
      },
      { ports: ["out", "error"], timeout_from: "deadline" },
    ),
    kind(
      "wait",
      "human_task",
      "Human task",
      "user-check",
      "Asks a person and waits for the answer.",
      {
        title: { type: "string", ...ui("text", "Title") },
        fields: {
          type: "array",
          items: {
            type: "object",
            required: ["key", "kind", "label"],
            properties: {
              key: { type: "string", ...ui("text", "Key", { expression: false }) },
              kind: {
                enum: ["text", "long_text", "number", "date", "choice", "yes_no", "email"],
                ...ui("choice", "Kind", { expression: false }),
              },
              label: { type: "string", ...ui("text", "Label") },
              required: {
                type: "boolean",
                default: false,
                ...ui("toggle", "Required", { expression: false }),
              },
              choices: { type: "array", items: { type: "string" }, ...ui("list", "Choices") },
            },
          },
          ...ui("fields", "Fields", { expression: false }),
        },
        outcomes: {
          type: "array",
          items: {
            type: "object",
            required: ["key", "label"],
            properties: {
              key: { type: "string", ...ui("text", "Key", { expression: false }) },
              label: { type: "string", ...ui("text", "Label") },
            },
          },
          ...ui("outcomes", "Outcomes", { expression: false }),
        },
        assignees: { type: "object", ...ui("assignees", "Who answers") },
        due: { type: "string", ...ui("duration", "Due within") },
        allow_requester: {
          type: "boolean",
          default: false,
          ...ui("toggle", "The requester may answer", { expression: false }),
        },
      },
      { ports: ["approved", "rejected", "error"], ports_from: "outcomes", timeout_from: "due" },
    ),
    kind("tell", "emit", "Emit an event", "radio", "Tells others what happened.", {
      type: { type: "string", ...ui("text", "Type") },
    }),
  ],
  functions: [
    {
      name: "shop.reserve",
      description: "Reserves stock for an order.",
      effects: "external",
      arguments_schema: {
        type: "object",
        required: ["sku", "quantity"],
        properties: {
          sku: { type: "string" },
          quantity: { type: "integer" },
          express: { type: "boolean", default: false },
        },
      },
    },
    {
      name: "shop.release",
      description: "Gives reserved stock back.",
      effects: "external",
      arguments_schema: { type: "object", properties: { id: { type: "string" } } },
    },
  ],
};
