// Draws the chart in the README: calls per second, one bar per contestant.

import { BarChart, CustomChart } from 'echarts/charts'
import { GridComponent, TitleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'

use([BarChart, CustomChart, GridComponent, TitleComponent, SVGRenderer])

const CALLS_IN_FLIGHT = 64
const WIDTH = 880
const BAR_ROW = 46
const HEAD = 96
const FOOT = 56
const COLOUR = {
  background: '#ffffff',
  text: '#1f2328',
  faint: '#59636e',
  line: '#d1d9e0',
  other: '#9aa7b4',
  own: '#14958a',
}
// Only font names without spaces: echarts doesn't escape the quotes that other names need.
const FONT = 'system-ui, Helvetica, Arial, sans-serif'

/** A line from minimum to maximum, then the median as text. @type {import('echarts').CustomSeriesRenderItem} */
const whisker = (_params, api) => {
  const row = api.value(0)
  const [[, y], [left], [right]] = [1, 2, 3].map((column) => api.coord([api.value(column), row]))
  const median = Math.round(Number(api.value(1))).toLocaleString('en')
  const line = (/** @type {number[]} */ [x1, y1, x2, y2]) => ({
    type: /** @type {const} */ ('line'),
    shape: { x1, y1, x2, y2 },
    style: { stroke: COLOUR.text, lineWidth: 1.5 },
  })
  return {
    type: /** @type {const} */ ('group'),
    children: [
      line([left, y, right, y]),
      line([left, y - 5, left, y + 5]),
      line([right, y - 5, right, y + 5]),
      {
        type: /** @type {const} */ ('text'),
        x: right + 10,
        y,
        style: {
          text: median,
          fill: COLOUR.text,
          font: `600 13px ${FONT}`,
          verticalAlign: /** @type {const} */ ('middle'),
        },
      },
    ],
  }
}

/**
 * @param {import('./measure.mjs').Result[]} results
 * @param {{ versions: Record<string, string>, machine: { cpu: string, cores: number }, rounds: number,
 *   data: { sessions: number, cookieBytes: number }, contestants: Record<string, { name: string }> }} header
 * @returns {string} SVG
 */
export function drawChart(results, { versions, machine, rounds, data, contestants }) {
  const bars = results.filter(({ inFlight }) => inFlight === CALLS_IN_FLIGHT)
  const speeds = bars.map(({ metrics }) => metrics.callsPerSecond ?? { median: 0, min: 0, max: 0 })
  const chart = init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: HEAD + BAR_ROW * bars.length + FOOT,
  })
  chart.setOption({
    animation: false,
    backgroundColor: COLOUR.background,
    textStyle: { fontFamily: FONT, color: COLOUR.text },
    title: {
      left: 24,
      top: 18,
      text: `Session checks per second, ${CALLS_IN_FLIGHT} in flight`,
      subtext: `Cookie of ${(data.cookieBytes / 1000).toFixed(1)} kB opened, session looked up among ${data.sessions.toLocaleString('en')}. Medians of ${rounds} rounds, lines from minimum to maximum.\nNode.js ${versions.node}, PostgreSQL ${versions.postgresql?.split(' ')[0]} on the same machine, ${machine.cores} cores (${machine.cpu})`,
      textStyle: { fontSize: 18, fontWeight: 600, color: COLOUR.text },
      subtextStyle: { fontSize: 12, lineHeight: 17, color: COLOUR.faint },
    },
    grid: { left: 250, right: 90, top: HEAD, bottom: FOOT },
    xAxis: {
      type: 'value',
      name: 'calls per second',
      nameLocation: 'middle',
      nameGap: 32,
      nameTextStyle: { color: COLOUR.faint },
      splitLine: { lineStyle: { color: COLOUR.line } },
      axisLabel: { color: COLOUR.faint },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: bars.map(({ key }) => contestants[key]?.name ?? key),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: COLOUR.faint } },
      axisLabel: { color: COLOUR.text, fontSize: 13 },
    },
    series: [
      {
        type: 'bar',
        barWidth: 22,
        data: speeds.map(({ median }, index) => ({
          value: median,
          itemStyle: {
            color: /^[fg]$/.test(bars[index]?.key ?? '') ? COLOUR.own : COLOUR.other,
            borderRadius: [0, 3, 3, 0],
          },
        })),
      },
      {
        type: 'custom',
        data: speeds.map(({ median, min, max }, index) => [index, median, min, max]),
        encode: { x: [1, 2, 3], y: 0 },
        renderItem: whisker,
        z: 3,
        silent: true,
      },
    ],
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return `${svg}\n`
}
