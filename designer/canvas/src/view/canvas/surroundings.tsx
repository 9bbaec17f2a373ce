/** What is around every drawing: the dots behind it, the buttons of its view, and an overview of all of it. */
import { Background, BackgroundVariant, Controls, MiniMap } from "@xyflow/react";

/** The overview's size in pixels. */
const MINI = { width: 160, height: 108 };
/** What holds something is an outline there, or it would hide what it holds. */
const miniClass = (node: { type?: string }): string => `mini-${node.type ?? "step"}`;

/** The same in the editor and on the run page; each says whether an overview serves there. */
export function Surroundings({ overview }: { overview: boolean }) {
  return (
    <>
      <Background variant={BackgroundVariant.Dots} gap={24} size={1} />
      <Controls showInteractive={false} position="bottom-right" />
      {overview && (
        <MiniMap
          style={MINI}
          position="bottom-right"
          pannable
          zoomable
          nodeClassName={miniClass}
          ariaLabel="Overview of the drawing"
        />
      )}
    </>
  );
}
