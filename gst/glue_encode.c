#include "glue.h"

#include <string.h>

// range_table maps a sample of one range to the other: black at 0 and white at
// 255 against 16 and 235, chroma around 128 (ITU-R BT.601, BT.709).
static const guint8 *range_table(guint8 *table, int range, gboolean chroma) {
  double span = chroma ? 224 : 219, centre = chroma ? 128 : 0, base = chroma ? 128 : 16;
  if (range == PERCH_RANGE_KEEP) return NULL;
  for (int i = 0; i < 256; i++) {
    double v = range == PERCH_RANGE_LIMIT ? (i - centre) * span / 255 + base : (i - base) * 255 / span + centre;
    table[i] = (guint8)CLAMP(v + 0.5, 0, 255);
  }
  return table;
}

// copy_plane copies rows and repeats the last column and row up to the coded
// size. unit is the number of bytes that belong together (2 for NV12's chroma).
static void copy_plane(guint8 *dst, int dst_stride, const guint8 *src, int src_stride, int cols, int rows, int coded_cols,
                       int coded_rows, int unit, const guint8 *table) {
  for (int y = 0; y < coded_rows; y++) {
    const guint8 *from = src + (gsize)MIN(y, rows - 1) * src_stride;
    guint8 *to = dst + (gsize)y * dst_stride;
    if (table)
      for (int x = 0; x < cols * unit; x++) to[x] = table[from[x]];
    else
      memcpy(to, from, (gsize)cols * unit);
    for (int x = cols; x < coded_cols; x++) memcpy(to + (gsize)x * unit, to + (gsize)(cols - 1) * unit, unit);
  }
}

GstBuffer *perch_buffer(const void *y, const void *u, const void *v, const int strides[3], int nv12, int range, int width,
                        int height, int coded_width, int coded_height) {
  GstVideoInfo info;
  gst_video_info_set_format(&info, nv12 ? GST_VIDEO_FORMAT_NV12 : GST_VIDEO_FORMAT_I420, coded_width, coded_height);
  GstBuffer *b = gst_buffer_new_allocate(NULL, GST_VIDEO_INFO_SIZE(&info), NULL);
  GstMapInfo map;
  if (!b || !gst_buffer_map(b, &map, GST_MAP_WRITE)) {
    if (b) gst_buffer_unref(b);
    return NULL;
  }
  guint8 luma_table[256], chroma_table[256];
  const guint8 *luma = range_table(luma_table, range, FALSE), *chroma = range_table(chroma_table, range, TRUE);
  const void *planes[3] = {y, u, v};
  int cw = (width + 1) / 2, ch = (height + 1) / 2, ccw = (coded_width + 1) / 2, cch = (coded_height + 1) / 2;
  for (int i = 0; i < (nv12 ? 2 : 3); i++) {
    guint8 *dst = map.data + GST_VIDEO_INFO_PLANE_OFFSET(&info, i);
    if (i == 0)
      copy_plane(dst, GST_VIDEO_INFO_PLANE_STRIDE(&info, 0), y, strides[0], width, height, coded_width, coded_height, 1, luma);
    else
      copy_plane(dst, GST_VIDEO_INFO_PLANE_STRIDE(&info, i), planes[i], strides[i], cw, ch, ccw, cch, nv12 ? 2 : 1, chroma);
  }
  gst_buffer_unmap(b, &map);
  return b;
}

GstFlowReturn perch_push(GstElement *appsrc, const void *y, const void *u, const void *v, const int strides[3], int nv12, int range,
                         int width, int height, int coded_width, int coded_height, gint64 pts, gint64 duration) {
  GstBuffer *b = perch_buffer(y, u, v, strides, nv12, range, width, height, coded_width, coded_height);
  if (!b) return GST_FLOW_ERROR;
  GST_BUFFER_PTS(b) = pts;
  if (duration > 0) GST_BUFFER_DURATION(b) = duration;
  return gst_app_src_push_buffer(GST_APP_SRC(appsrc), b);
}

// perch_push_unit copies one encoded picture into the queue. Where the queue is
// full it waits, until there is room or the pipeline stops.
GstFlowReturn perch_push_unit(GstElement *appsrc, const void *data, gsize len, gint64 pts, gint64 duration, gboolean key) {
  GstBuffer *b = gst_buffer_new_allocate(NULL, len, NULL);
  if (!b) return GST_FLOW_ERROR;
  gst_buffer_fill(b, 0, data, len);
  GST_BUFFER_PTS(b) = pts;
  if (duration > 0) GST_BUFFER_DURATION(b) = duration;
  if (!key) GST_BUFFER_FLAG_SET(b, GST_BUFFER_FLAG_DELTA_UNIT);
  return gst_app_src_push_buffer(GST_APP_SRC(appsrc), b);
}

guint64 perch_level(GstElement *appsrc) { return gst_app_src_get_current_level_buffers(GST_APP_SRC(appsrc)); }

void perch_end(GstElement *appsrc) { gst_app_src_end_of_stream(GST_APP_SRC(appsrc)); }

static gint64 valid(GstClockTime t) { return GST_CLOCK_TIME_IS_VALID(t) ? (gint64)t : -1; }

int perch_pull_unit(GstElement *appsink, guint64 timeout_ns, perch_unit *out) {
  GstSample *sample = gst_app_sink_try_pull_sample(GST_APP_SINK(appsink), timeout_ns);
  if (!sample) return gst_app_sink_is_eos(GST_APP_SINK(appsink)) ? PERCH_EOS : PERCH_NONE;
  GstBuffer *b = gst_sample_get_buffer(sample);
  if (!b || !gst_buffer_map(b, &out->map, GST_MAP_READ)) {
    gst_sample_unref(sample);
    return PERCH_UNMAPPABLE;
  }
  out->sample = sample;
  // Encoders shift timestamps to make room for negative DTS and say so in the segment.
  out->pts = GST_BUFFER_PTS_IS_VALID(b)
                 ? valid(gst_segment_to_running_time(gst_sample_get_segment(sample), GST_FORMAT_TIME, GST_BUFFER_PTS(b)))
                 : -1;
  out->duration = valid(GST_BUFFER_DURATION(b));
  out->key = !GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_DELTA_UNIT);
  return PERCH_GOT;
}

void perch_unit_clear(perch_unit *u) {
  gst_buffer_unmap(gst_sample_get_buffer(u->sample), &u->map);
  gst_sample_unref(u->sample);
}

void perch_force_key(GstElement *appsink) {
  gst_element_send_event(appsink, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
}
