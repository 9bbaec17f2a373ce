/** The one arrow head that all connections refer to; it takes the colour of its line. */
export function ArrowHead() {
  return (
    <svg className="visually-hidden" aria-hidden="true">
      <defs>
        <marker
          id="branchline-arrow"
          viewBox="0 0 8 8"
          refX="7"
          refY="4"
          markerWidth="8"
          markerHeight="8"
          markerUnits="userSpaceOnUse"
          orient="auto"
        >
          <path className="arrow" d="M0 0.5 L8 4 L0 7.5 Z" />
        </marker>
      </defs>
    </svg>
  );
}
