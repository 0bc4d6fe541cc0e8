#include "glue.h"

#include <string.h>

// A gauge knows what comes into a scaler. Only the streaming thread touches it:
// there is no queue between the scaler and the appsink.
typedef struct {
  gint refs;
  guint width, height; // of what comes; 0: not known yet
  gboolean turned;     // by a quarter, behind the scaler
} gauge;

static void gauge_unref(gpointer g) {
  if (g_atomic_int_dec_and_test(&((gauge *)g)->refs)) g_free(g);
}

static GstPadProbeReturn on_input(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  gauge *g = data;
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);
  int w, h;
  GstCaps *caps;
  GstTagList *tags;
  char *orientation = NULL;
  switch (GST_EVENT_TYPE(event)) {
  case GST_EVENT_CAPS:
    gst_event_parse_caps(event, &caps);
    if (gst_structure_get_int(gst_caps_get_structure(caps, 0), "width", &w) &&
        gst_structure_get_int(gst_caps_get_structure(caps, 0), "height", &h)) {
      g->width = w;
      g->height = h;
    }
    break;
  case GST_EVENT_TAG:
    gst_event_parse_tag(event, &tags);
    if (gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &orientation))
      g->turned = strstr(orientation, "rotate-90") || strstr(orientation, "rotate-270");
    g_free(orientation);
    break;
  default:
    break;
  }
  return GST_PAD_PROBE_OK;
}

static GQuark whole_size(void) { return g_quark_from_static_string("perch-whole-size"); }

// on_output writes on each picture how large it was. A size of caps would not
// do: they stay the same when another size is shrunk to the same one.
static GstPadProbeReturn on_output(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  gauge *g = data;
  guint w = g->turned ? g->height : g->width, h = g->turned ? g->width : g->height;
  gst_mini_object_set_qdata(GST_MINI_OBJECT(GST_PAD_PROBE_INFO_BUFFER(info)), whole_size(), GSIZE_TO_POINTER((gsize)w << 16 | h), NULL);
  return GST_PAD_PROBE_OK;
}

void perch_whole_size(GstBuffer *buffer, int *width, int *height) {
  gsize size = GPOINTER_TO_SIZE(gst_mini_object_get_qdata(GST_MINI_OBJECT(buffer), whole_size()));
  *width = size >> 16;
  *height = size & 0xffff;
}

static void probe(GstElement *e, GstPadProbeType type, GstPadProbeCallback f, gauge *g) {
  GstPad *pad = gst_element_get_static_pad(e, "sink");
  g_atomic_int_inc(&g->refs);
  gst_pad_add_probe(pad, type, f, g, gauge_unref);
  gst_object_unref(pad);
}

void perch_watch_scaler(GstElement *bin, GstElement *pipeline, int best_scaling) {
  GstElement *scaler = gst_bin_get_by_name(GST_BIN(bin), "scaler"), *sink = gst_bin_get_by_name(GST_BIN(pipeline), "frames");
  if (scaler && sink) {
    if (g_object_class_find_property(G_OBJECT_GET_CLASS(scaler), "interpolation-method"))
      g_object_set(scaler, "interpolation-method", best_scaling, NULL);
    gauge *g = g_new0(gauge, 1);
    g->refs = 1;
    probe(scaler, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_input, g);
    probe(sink, GST_PAD_PROBE_TYPE_BUFFER, on_output, g);
    gauge_unref(g);
  }
  if (scaler) gst_object_unref(scaler);
  if (sink) gst_object_unref(sink);
}

void perch_scale(GstElement *pipeline, int width, int height) {
  GstElement *filter = gst_bin_get_by_name(GST_BIN(pipeline), "size");
  if (!filter) return; // what comes needs no way out of a decoder's memory
  GstCaps *now = NULL;
  g_object_get(filter, "caps", &now, NULL);
  GstCaps *caps = gst_caps_copy(now);
  gst_caps_unref(now);
  for (guint i = 0; i < gst_caps_get_size(caps); i++) {
    GstStructure *s = gst_caps_get_structure(caps, i);
    gst_structure_remove_fields(s, "width", "height", NULL);
    if (width > 0) gst_structure_set(s, "width", G_TYPE_INT, width, "height", G_TYPE_INT, height, NULL);
  }
  g_object_set(filter, "caps", caps, NULL);
  gst_caps_unref(caps);
  gst_object_unref(filter);
}
