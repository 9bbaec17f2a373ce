/** Dropping: a kind from the palette onto the canvas or an edge, and a loose step onto an edge. */
import { useReactFlow } from "@xyflow/react";
import type { DragEvent } from "react";
import { edgeId, incoming, outgoing, portOf } from "../../core/graph.ts";
import type { Edge, Point } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { dropSteps, dropTarget } from "../nesting.ts";
import { addOfKind, tryInsert } from "../steps.ts";
import type { AnyNode } from "./nodes.ts";

export const KIND_TYPE = "application/x-branchline-kind";

/** The edge drawn under a place of the window. */
const edgeUnder = ([x, y]: Point): string | null => {
  for (const element of document.elementsFromPoint(x, y)) {
    const edge = element.closest<HTMLElement>(".react-flow__edge");
    if (edge?.dataset.id) return edge.dataset.id;
  }
  return null;
};

export function useDrop() {
  const designer = useDesigner();
  const flow = useReactFlow();
  const mark = (dropEdge: string | null, dropInto: string | null = null): void => {
    const now = designer.screen.get();
    if (now.dropEdge !== dropEdge || now.dropInto !== dropInto)
      designer.screen.update({ dropEdge, dropInto });
  };
  const inDrawing = ([x, y]: Point): Point => {
    const at = flow.screenToFlowPosition({ x, y }, { snapToGrid: false });
    return [at.x, at.y];
  };
  const edgeOf = (id: string | null): Edge | undefined =>
    designer.editor.document.edges.find((edge) => edgeId(edge) === id);
  const loose = (nodes: AnyNode[]): string | null => {
    const [only] = nodes;
    if (nodes.length !== 1 || only?.type !== "step") return null;
    const { document } = designer.editor;
    return incoming(document, only.id).length || outgoing(document, only.id).length ? null : only.id;
  };

  return {
    over(event: DragEvent): void {
      if (designer.editor.readOnly || !event.dataTransfer.types.includes(KIND_TYPE)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      const at: Point = [event.clientX, event.clientY];
      const edge = edgeUnder(at);
      mark(edge, edge ? null : designer.frames.under(inDrawing(at)));
    },
    leave: () => mark(null),
    drop(event: DragEvent): void {
      const kind = designer.kindOf(event.dataTransfer.getData(KIND_TYPE));
      const edge = edgeOf(edgeUnder([event.clientX, event.clientY]));
      mark(null);
      if (!kind || designer.editor.readOnly) return;
      event.preventDefault();
      const [x, y] = inDrawing([event.clientX, event.clientY]);
      const wire = edge ? { from: { key: edge.from, port: portOf(edge) }, to: edge.to, instead: edge } : {};
      addOfKind(designer, kind, [x - 104, y - 28], wire, designer.frames.under([x, y]));
    },
    /** Steps are being dragged: mark the edge a loose one would go into, or the container they would change to. */
    drag(at: Point, nodes: AnyNode[]): void {
      const key = loose(nodes);
      const edge = key ? edgeUnder(at) : null;
      mark(edge, edge ? null : dropTarget(designer, stepsOf(nodes), inDrawing(at)));
    },
    /** They were let go, at these places of the drawing. */
    dragged(nodes: AnyNode[], places: ReadonlyMap<string, Point>): void {
      const key = loose(nodes);
      const { dropEdge, dropInto } = designer.screen.get();
      const edge = edgeOf(dropEdge);
      mark(null);
      dropSteps(designer, places, edge ? null : dropInto);
      if (key && edge) tryInsert(designer, key, edge);
    },
  };
}

const stepsOf = (nodes: AnyNode[]): ReadonlySet<string> =>
  new Set(nodes.filter((node) => node.type === "step" || node.type === "frame").map((node) => node.id));
