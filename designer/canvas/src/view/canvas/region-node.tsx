import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { PATTERN_WORDS, regionId, regionName } from "../../core/regions.ts";
import type { Region } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import type { RegionFlowNode } from "./nodes.ts";

const ICONS: Record<string, string> = { sequence: "arrow-right", parallel: "git-fork", event: "radio" };

const wordOf = (region: Region): string => PATTERN_WORDS[region.pattern] ?? region.pattern;

function Label({ region }: { region: Region }) {
  return (
    <>
      <Icon name={ICONS[region.pattern] ?? "layers"} size={12} />
      <span>{regionName(region)}</span>
      {region.name && " "}
      {region.name && <small>{wordOf(region)}</small>}
    </>
  );
}

const classOf = (region: Region): string => `region region-${region.pattern}`;

/** A quiet background; only its label takes the pointer, so that drawing goes on over it. */
export const EditRegion = memo(function EditRegion({ data }: NodeProps<RegionFlowNode>) {
  const designer = useDesigner();
  const { region } = data;
  return (
    <div className={classOf(region)}>
      <button
        type="button"
        className="region-label nodrag nopan"
        title="Edit this region"
        tabIndex={-1}
        onClick={(event) => {
          event.stopPropagation();
          designer.editor.select([regionId(region.key)]);
        }}
      >
        <Label region={region} />
      </button>
    </div>
  );
});

export const ReadRegion = memo(function ReadRegion({ data }: NodeProps<RegionFlowNode>) {
  return (
    <div className={classOf(data.region)}>
      <span className="region-label">
        <Label region={data.region} />
      </span>
    </div>
  );
});
