import type {
  IChartApi,
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  SeriesAttachedParameter,
  Time,
  UTCTimestamp
} from "lightweight-charts"

/** Epoch seconds. */
export interface Hole {
  readonly from: number
  readonly to: number
}

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0]

/** Draws spans in which nothing was recorded behind the series: tinted and hatched, from top to bottom. */
export class GapShading implements ISeriesPrimitive<Time> {
  #chart: IChartApi | undefined
  #redraw: (() => void) | undefined
  #holes: ReadonlyArray<Hole> = []
  readonly #colour: string
  readonly #snap: (seconds: number) => number

  /** `snap`: the bar that an instant belongs to. */
  constructor(colour: string, snap: (seconds: number) => number) {
    this.#colour = colour
    this.#snap = snap
  }

  setHoles(holes: ReadonlyArray<Hole>) {
    this.#holes = holes
    this.#redraw?.()
  }

  attached({ chart, requestUpdate }: SeriesAttachedParameter<Time>) {
    this.#chart = chart as IChartApi
    this.#redraw = requestUpdate
  }

  detached() {
    this.#chart = undefined
    this.#redraw = undefined
  }

  /** Where the holes are, in pixels from the left of the pane. */
  spans(): ReadonlyArray<readonly [number, number]> {
    const scale = this.#chart?.timeScale()
    if (scale === undefined) return []
    const half = scale.options().barSpacing / 2
    return this.#holes.flatMap(({ from, to }) => {
      const left = scale.timeToCoordinate(this.#snap(from) as UTCTimestamp)
      const right = scale.timeToCoordinate(this.#snap(to) as UTCTimestamp)
      return left === null || right === null ? [] : [[left - half, right + half] as const]
    })
  }

  paneViews(): ReadonlyArray<IPrimitivePaneView> {
    const draw = (target: Target) =>
      target.useMediaCoordinateSpace(({ context, mediaSize }) => {
        context.save()
        for (const [left, right] of this.spans()) {
          const width = Math.max(2, right - left)
          context.globalAlpha = 0.16
          context.fillStyle = this.#colour
          context.fillRect(left, 0, width, mediaSize.height)
          context.globalAlpha = 0.5
          context.strokeStyle = this.#colour
          context.lineWidth = 1
          context.save()
          context.beginPath()
          context.rect(left, 0, width, mediaSize.height)
          context.clip()
          context.beginPath()
          for (let x = left - mediaSize.height; x < right; x += 8) {
            context.moveTo(x, mediaSize.height)
            context.lineTo(x + mediaSize.height, 0)
          }
          context.stroke()
          context.restore()
        }
        context.restore()
      })
    return [{ zOrder: () => "bottom", renderer: () => ({ draw }) }]
  }
}
