/** Edits of nesting: into a container, out of it, a container around a selection, and away again. */
import { type Command, command } from "./command.ts";
import { newStep, noteId, placed } from "./edits.ts";
import { BODY_TOP, boxAround, FRAME_PAD, type Frames, keepCorners } from "./frames.ts";
import { add, minus } from "./geometry.ts";
import {
  edgeId,
  FAILURE_PORTS,
  findStep,
  incoming,
  makeEdge,
  outgoing,
  portOf,
  portsOf,
  successPorts,
} from "./graph.ts";
import { nestingOf } from "./nesting.ts";
import { type Reparented, reparented, wrapped } from "./reparent.ts";
import { framed, framesOf, type Layout, shifted, withRoom } from "./room.ts";
import type { Document, Edge, Point, Step, StepKind } from "./types.ts";

const named = (doc: Document, key: string): string => findStep(doc, key)?.name || key;

/** How far a group must move so that it lies below the head of the frame and right of its border. */
function inward(frames: Frames, keys: ReadonlySet<string>, parent: string): Point {
  const frame = frames.boxOf(parent);
  const boxes = [...keys].flatMap((key) => frames.boxOf(key) ?? []);
  if (!frame || !boxes.length) return [0, 0];
  const x = Math.min(...boxes.map((box) => box.x));
  const y = Math.min(...boxes.map((box) => box.y));
  const by: Point = [frame.x + FRAME_PAD - x, frame.y + BODY_TOP - y];
  // The first steps decide where the frame lies, so they go where its body begins.
  return frames.nesting.children(parent).length ? [Math.max(0, by[0]), Math.max(0, by[1])] : by;
}

/**
 * Places of steps and notes in the drawing, as a drag left them: what lies in a container goes along with it.
 * With `room` a frame that was stretched by it pushes its neighbours aside.
 */
export function moveTo(
  doc: Document,
  places: ReadonlyMap<string, Point>,
  layout: Layout,
  room: boolean,
): Command | null {
  const frames = framesOf(doc, layout);
  const full = new Map(places);
  for (const [key, at] of places) {
    const box = frames.boxOf(key);
    if (!box) continue;
    const by = minus(at, [box.x, box.y]);
    full.set(key, add(findStep(doc, key)?.at ?? at, by));
    for (const step of frames.nesting.inside(key)) full.set(step.key, add(step.at, by));
    const along = frames.notesOn(new Set([key]));
    for (const note of doc.notes) {
      const id = noteId(note.key);
      if (along.has(note.key) && !places.has(id)) full.set(id, add(note.at, by));
    }
  }
  const after = placed(doc, full);
  return command("Move", doc, room ? withRoom(doc, after, layout) : after, { intent: "drag" });
}

/** Takes steps into a container (or out to the level of `parent`); their connections follow to the border. */
export function putInto(
  doc: Document,
  keys: ReadonlySet<string>,
  parent: string | null,
  layout: Layout,
  intent?: string,
): Command | null {
  const frames = framesOf(doc, layout);
  const tops = new Set(nestingOf(doc).tops(keys));
  const inside = parent ? shifted(doc, tops, inward(frames, tops, parent), frames) : doc;
  const moved = keepCorners(doc, reparented(inside, tops, parent).document);
  const after = withRoom(doc, moved, layout);
  const label = parent ? `Move into ${named(doc, parent)}` : "Take out of the container";
  return command(label, doc, after, { select: [...keys], ...(intent === undefined ? {} : { intent }) });
}

/** Takes steps one level out and puts them below their container, where they can be seen. */
export function takeOut(doc: Document, keys: ReadonlySet<string>, layout: Layout): Command | null {
  const nesting = nestingOf(doc);
  const tops = new Set(nesting.tops(keys));
  const [first] = tops;
  const from = first ? nesting.parent(first) : null;
  if (!from) return null;
  const frames = framesOf(doc, layout);
  const frame = frames.boxOf(from);
  const top = Math.min(...[...tops].flatMap((key) => frames.boxOf(key)?.y ?? []));
  const out = reparented(doc, tops, nesting.parent(from)).document;
  const below = frame ? frame.y + frame.height + FRAME_PAD - top : 0;
  const after = shifted(out, tops, [0, below], framesOf(out, layout));
  return command(`Take out of ${named(doc, from)}`, doc, keepCorners(doc, after), { select: [...keys] });
}

export const around = (doc: Document, keys: ReadonlySet<string>, container: Step): Reparented =>
  wrapped(doc, new Set(nestingOf(doc).tops(keys)), container);

/** The container that `wrap` would add. */
export function containerFor(doc: Document, keys: ReadonlySet<string>, kind: StepKind): Step {
  const nesting = nestingOf(doc);
  const [first = ""] = nesting.tops(keys);
  const parent = nesting.parent(first);
  const step = newStep(doc, kind, findStep(doc, first)?.at ?? [0, 0]);
  return parent ? { ...step, parent } : step;
}

/** Puts a new container around the steps; what led to them leads to it. */
export function wrap(
  doc: Document,
  keys: ReadonlySet<string>,
  kind: StepKind,
  layout: Layout,
): Command | null {
  const container = containerFor(doc, keys, kind);
  const frames = framesOf(doc, layout);
  const boxes = nestingOf(doc)
    .tops(keys)
    .flatMap((key) => frames.boxOf(key) ?? []);
  if (!boxes.length) return null;
  const after = framed(around(doc, keys, container).document, container.key, boxAround(boxes), layout);
  const label = `Put into ${kind.name}`;
  return command(label, doc, withRoom(doc, after, layout), { select: [container.key] });
}

/** Body ends and the ports by which control leaves them. */
function ways(doc: Document, body: readonly Step[], layout: Layout): { key: string; port: string }[] {
  return body.flatMap((step) => {
    const onward = outgoing(doc, step.key).some((edge) => !FAILURE_PORTS.has(portOf(edge)));
    const port = successPorts(portsOf(step, layout.kindOf(step.kind)))[0];
    return onward || !port ? [] : [{ key: step.key, port }];
  });
}

/** Removes a container and keeps what it held, wired in its place. */
export function unwrap(doc: Document, key: string, layout: Layout): Command | null {
  const nesting = nestingOf(doc);
  const container = findStep(doc, key);
  if (!container) return null;
  const body = nesting.children(key);
  const keys = new Set(body.map((step) => step.key));
  const starts = body.filter((step) => !incoming(doc, step.key).length);
  const made: Edge[] = [
    ...incoming(doc, key).flatMap((edge) => starts.map((to) => makeEdge(edge.from, portOf(edge), to.key))),
    ...outgoing(doc, key)
      .filter((edge) => !FAILURE_PORTS.has(portOf(edge)))
      .flatMap((edge) => ways(doc, body, layout).map((way) => makeEdge(way.key, way.port, edge.to))),
  ];
  const kept = doc.edges.filter((edge) => edge.from !== key && edge.to !== key);
  const have = new Set(kept.map(edgeId));
  const steps = reparented(doc, keys, nesting.parent(key)).document.steps.filter((step) => step.key !== key);
  const regions = doc.regions.map((region) => ({
    ...region,
    steps: region.steps.flatMap((item) => (item === key ? [...keys] : [item])),
  }));
  const edges = [...kept, ...made.filter((edge) => !have.has(edgeId(edge)))];
  return command(
    `Dissolve ${container.name || key}`,
    doc,
    { ...doc, steps, edges, regions },
    { select: [...keys] },
  );
}
