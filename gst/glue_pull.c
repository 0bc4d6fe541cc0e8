#include "glue.h"

#include <gst/pbutils/pbutils.h>
#include <string.h>

// on_allocation tells decoders that this sink understands GstVideoMeta, so
// that they hand over their padded pictures instead of copying the padding away.
static GstPadProbeReturn on_allocation(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  GstQuery *q = GST_PAD_PROBE_INFO_QUERY(info);
  if (GST_QUERY_TYPE(q) != GST_QUERY_ALLOCATION) return GST_PAD_PROBE_OK;
  gst_query_add_allocation_meta(q, GST_VIDEO_META_API_TYPE, NULL);
  return GST_PAD_PROBE_HANDLED;
}

perch_sink *perch_sink_new(GstElement *appsink) {
  perch_sink *s = g_new0(perch_sink, 1);
  s->element = gst_object_ref(appsink);
  GstPad *pad = gst_element_get_static_pad(appsink, "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM, on_allocation, NULL, NULL);
  gst_object_unref(pad);
  return s;
}

void perch_sink_free(perch_sink *s) {
  gst_caps_replace(&s->caps, NULL);
  gst_object_unref(s->element);
  g_free(s);
}

static gint64 running_time(GstSample *sample, GstClockTime t) {
  if (!GST_CLOCK_TIME_IS_VALID(t)) return -1;
  GstClockTime r = gst_segment_to_running_time(gst_sample_get_segment(sample), GST_FORMAT_TIME, t);
  return GST_CLOCK_TIME_IS_VALID(r) ? (gint64)r : -1;
}

// planes notes where each plane lies and how many of its bytes are mapped.
static void planes(perch_picture *p) {
  GstVideoFrame *f = &p->frame;
  for (int i = 0; i < (int)GST_VIDEO_FRAME_N_PLANES(f) && i < 3; i++) {
    GstMapInfo *map = &f->map[GST_VIDEO_FRAME_N_PLANES(f) > 1 && f->map[1].data ? i : 0];
    int comp = i; // the first component of plane i has index i in I420 and NV12
    guint8 *data = GST_VIDEO_FRAME_PLANE_DATA(f, i);
    gsize want = (gsize)GST_VIDEO_FRAME_PLANE_STRIDE(f, i) * GST_VIDEO_FRAME_COMP_HEIGHT(f, comp);
    gsize have = data >= map->data && data < map->data + map->size ? (gsize)(map->data + map->size - data) : 0;
    p->data[i] = data;
    p->len[i] = MIN(want, have);
    p->stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE(f, i);
  }
}

int perch_pull(perch_sink *s, guint64 timeout_ns, perch_picture **out) {
  GstSample *sample = gst_app_sink_try_pull_sample(GST_APP_SINK(s->element), timeout_ns);
  if (!sample) return gst_app_sink_is_eos(GST_APP_SINK(s->element)) ? PERCH_EOS : PERCH_NONE;
  GstBuffer *buffer = gst_sample_get_buffer(sample);
  GstCaps *caps = gst_sample_get_caps(sample);
  if (!buffer || !caps) goto unmappable;
  if (caps != s->caps) {
    if (!gst_video_info_from_caps(&s->info, caps)) goto unmappable;
    gst_caps_replace(&s->caps, caps);
  }
  perch_picture *p = g_new0(perch_picture, 1);
  // The sample keeps the buffer alive; a second reference would make it read-only for nothing.
  if (!gst_video_frame_map(&p->frame, &s->info, buffer, GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    g_free(p);
    goto unmappable;
  }
  p->sample = sample;
  p->nv12 = GST_VIDEO_INFO_FORMAT(&s->info) == GST_VIDEO_FORMAT_NV12;
  p->width = GST_VIDEO_INFO_WIDTH(&s->info);
  p->height = GST_VIDEO_INFO_HEIGHT(&s->info);
  p->full_range = s->info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  p->bt709 = s->info.colorimetry.matrix == GST_VIDEO_COLOR_MATRIX_BT709 || s->info.colorimetry.matrix == GST_VIDEO_COLOR_MATRIX_BT2020;
  p->fps_n = GST_VIDEO_INFO_FPS_N(&s->info);
  p->fps_d = GST_VIDEO_INFO_FPS_D(&s->info);
  p->pts = running_time(sample, GST_BUFFER_PTS(buffer));
  perch_whole_size(buffer, &p->whole_width, &p->whole_height);
  planes(p);
  *out = p;
  return PERCH_GOT;

unmappable:
  gst_sample_unref(sample);
  return PERCH_UNMAPPABLE;
}

void perch_picture_free(perch_picture *p) {
  gst_video_frame_unmap(&p->frame);
  gst_sample_unref(p->sample);
  g_free(p);
}

static int domain_of(GQuark q) {
  if (q == GST_CORE_ERROR) return PERCH_DOMAIN_CORE;
  if (q == GST_RESOURCE_ERROR) return PERCH_DOMAIN_RESOURCE;
  if (q == GST_STREAM_ERROR) return PERCH_DOMAIN_STREAM;
  return PERCH_DOMAIN_OTHER;
}

// content_type returns the Content-Type of an "http-headers" message, or NULL.
static char *content_type(GstMessage *m) {
  const GstStructure *s = gst_message_get_structure(m), *h;
  if (!s || !gst_structure_has_name(s, "http-headers")) return NULL;
  const GValue *v = gst_structure_get_value(s, "response-headers");
  if (!v || !GST_VALUE_HOLDS_STRUCTURE(v)) return NULL;
  h = gst_value_get_structure(v);
  const char *t = gst_structure_get_string(h, "Content-Type");
  if (!t) t = gst_structure_get_string(h, "content-type");
  return g_strdup(t);
}

static void fill(GstMessage *m, perch_message *out) {
  GError *e = NULL;
  switch (GST_MESSAGE_TYPE(m)) {
  case GST_MESSAGE_ERROR:
    out->type = PERCH_MSG_ERROR;
    gst_message_parse_error(m, &e, &out->debug);
    break;
  case GST_MESSAGE_WARNING:
    out->type = PERCH_MSG_WARNING;
    gst_message_parse_warning(m, &e, &out->debug);
    break;
  case GST_MESSAGE_EOS:
    out->type = PERCH_MSG_EOS;
    break;
  default:
    if (gst_is_missing_plugin_message(m)) {
      out->type = PERCH_MSG_MISSING;
      out->text = gst_missing_plugin_message_get_installer_detail(m);
    } else if ((out->text = content_type(m))) {
      out->type = PERCH_MSG_CONTENT;
    }
  }
  if (e) {
    out->domain = domain_of(e->domain);
    out->code = e->code;
    out->text = g_strdup(e->message);
    g_error_free(e);
  }
  if (GST_IS_ELEMENT(GST_MESSAGE_SRC(m))) {
    GstElementFactory *f = gst_element_get_factory(GST_ELEMENT(GST_MESSAGE_SRC(m)));
    if (f) out->element = g_strdup(gst_plugin_feature_get_name(GST_PLUGIN_FEATURE(f)));
  }
}

// perch_bus_pop returns the next message that matters; everything else is
// taken off the bus on the way, so that it cannot grow.
void perch_bus_pop(GstElement *pipeline, guint64 timeout_ns, perch_message *out) {
  memset(out, 0, sizeof *out);
  GstBus *bus = gst_element_get_bus(pipeline);
  for (;;) {
    GstMessage *m = gst_bus_timed_pop_filtered(bus, timeout_ns,
                                               GST_MESSAGE_ERROR | GST_MESSAGE_WARNING | GST_MESSAGE_EOS | GST_MESSAGE_ELEMENT);
    if (!m) break;
    fill(m, out);
    gst_message_unref(m);
    if (out->type != PERCH_MSG_NONE) break;
    perch_message_clear(out);
  }
  gst_object_unref(bus);
}

void perch_message_clear(perch_message *m) {
  g_free(m->text);
  g_free(m->debug);
  g_free(m->element);
  memset(m, 0, sizeof *m);
}

gint64 perch_duration(GstElement *pipeline) {
  gint64 d = -1;
  return gst_element_query_duration(pipeline, GST_FORMAT_TIME, &d) ? d : -1;
}
