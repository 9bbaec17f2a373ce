/** What other panels may ask of the mounted canvas. */
import { useReactFlow } from "@xyflow/react";
import { type RefObject, useEffect } from "react";
import { isNoteId, noteId } from "../../core/edits.ts";
import { findRegion } from "../../core/regions.ts";
import type { Point } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";

const SOON = { duration: 120 };
/** Room that stays between a revealed step and the frame, in pixels. */
const EDGE = 32;
const calm = (): { duration: number } =>
  matchMedia("(prefers-reduced-motion: reduce)").matches ? { duration: 0 } : SOON;

export function useCanvasHandle(wrapper: RefObject<HTMLDivElement | null>): void {
  const designer = useDesigner();
  const flow = useReactFlow();
  useEffect(() => {
    const placeOf = (id: string) => {
      const { document } = designer.editor;
      const box = designer.frames.boxOf(id);
      if (box) return box;
      const region = findRegion(document, id);
      if (region) return designer.frames.region(region.steps);
      const note = isNoteId(id) ? document.notes.find((item) => noteId(item.key) === id) : undefined;
      return note ? { x: note.at[0], y: note.at[1], width: note.size[0], height: note.size[1] } : null;
    };
    const element = (id: string) =>
      wrapper.current?.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
    const frameOf = () => wrapper.current?.getBoundingClientRect() ?? new DOMRect();
    /** Pans by the least that brings the step into the frame; a jump to the centre would lose the eye. */
    const reveal = (id: string): void => {
      designer.unfold(id);
      const box = placeOf(id);
      if (!box) return;
      const { x, y, zoom } = flow.getViewport();
      const frame = frameOf();
      const by = (start: number, size: number, room: number): number => {
        if (start < EDGE) return EDGE - start;
        return Math.min(0, room - EDGE - (start + size));
      };
      const dx = by(box.x * zoom + x, box.width * zoom, frame.width);
      const dy = by(box.y * zoom + y, box.height * zoom, frame.height);
      if (dx || dy) void flow.setViewport({ x: x + dx, y: y + dy, zoom }, calm());
    };
    const inView = (id: string): boolean => {
      const box = element(id)?.getBoundingClientRect();
      const frame = frameOf();
      if (!box) return false;
      return (
        box.left >= frame.left &&
        box.right <= frame.right &&
        box.top >= frame.top &&
        box.bottom <= frame.bottom
      );
    };
    const centre = (id: string): void => {
      designer.unfold(id);
      const box = placeOf(id);
      if (!box || inView(id)) return;
      void flow.setCenter(box.x + box.width / 2, box.y + box.height / 2, {
        zoom: Math.max(flow.getZoom(), 0.6),
        ...calm(),
      });
    };
    const focus = (id: string, tries = 10): void => {
      const found = element(id);
      if (found) found.focus({ preventScroll: true });
      // A culled step is mounted a frame or two after the view has moved to it.
      else if (tries > 0) requestAnimationFrame(() => focus(id, tries - 1));
    };
    const middle = (): Point => {
      const frame = wrapper.current?.getBoundingClientRect();
      if (!frame) return [0, 0];
      const { x, y } = flow.screenToFlowPosition({
        x: frame.x + frame.width / 2,
        y: frame.y + frame.height / 2,
      });
      return [x - 104, y - 28];
    };
    designer.canvas = {
      centre,
      focus: (id) => {
        reveal(id);
        focus(id);
      },
      open: () => designer.openInspector(),
      fit: () => void flow.fitView({ padding: 0.1, maxZoom: 1, ...calm() }),
      zoom: (to) => {
        if (to === "in") void flow.zoomIn(calm());
        else if (to === "out") void flow.zoomOut(calm());
        else void flow.zoomTo(1, calm());
      },
      under: (screen) => {
        const at = flow.screenToFlowPosition({ x: screen[0], y: screen[1] });
        return designer.frames.under([at.x, at.y]);
      },
      toDrawing: ([x, y]) => {
        const at = flow.screenToFlowPosition({ x, y });
        return [at.x, at.y];
      },
      middle,
    };
    return () => {
      designer.canvas = null;
    };
  }, [designer, flow, wrapper]);
}
