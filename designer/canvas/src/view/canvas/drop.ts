/** Dropping: a kind from the palette onto the canvas or an edge, and a loose step onto an edge. */
import { useReactFlow } from "@xyflow/react";
import type { DragEvent } from "react";
import { edgeId, incoming, outgoing, portOf } from "../../core/graph.ts";
import type { Edge, Point } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
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
  const mark = (id: string | null): void => {
    if (designer.screen.get().dropEdge !== id) designer.screen.update({ dropEdge: id });
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
      mark(edgeUnder([event.clientX, event.clientY]));
    },
    leave: () => mark(null),
    drop(event: DragEvent): void {
      const kind = designer.kindOf(event.dataTransfer.getData(KIND_TYPE));
      const edge = edgeOf(edgeUnder([event.clientX, event.clientY]));
      mark(null);
      if (!kind || designer.editor.readOnly) return;
      event.preventDefault();
      const { x, y } = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
      const wire = edge ? { from: { key: edge.from, port: portOf(edge) }, to: edge.to, instead: edge } : {};
      addOfKind(designer, kind, [x - 104, y - 28], wire);
    },
    /** A step is being dragged: mark the edge it would go into. Only a step without connections does. */
    drag(at: Point, nodes: AnyNode[]): void {
      const key = loose(nodes);
      mark(key ? edgeUnder(at) : null);
    },
    dragged(nodes: AnyNode[]): void {
      const key = loose(nodes);
      const edge = edgeOf(designer.screen.get().dropEdge);
      mark(null);
      if (key && edge) tryInsert(designer, key, edge);
    },
  };
}
