#include "glue.h"

static GstFlowReturn take(GstPad *pad, GstObject *parent, GstBuffer *b) {
  perch_still *s = gst_pad_get_element_private(pad);
  gst_buffer_replace(&s->made, b);
  gst_buffer_unref(b);
  return GST_FLOW_OK;
}

// any_size keeps the encoder from believing that what it makes must always have
// the size that it had first.
static gboolean any_size(GstPad *pad, GstObject *parent, GstQuery *q) {
  if (GST_QUERY_TYPE(q) != GST_QUERY_CAPS) return gst_pad_query_default(pad, parent, q);
  GstCaps *any = gst_caps_new_any();
  gst_query_set_caps_result(q, any);
  gst_caps_unref(any);
  return TRUE;
}

static GstPad *join(perch_still *s, const char *name, GstPadDirection direction) {
  GstPad *pad = gst_pad_new(name, direction);
  gst_pad_set_element_private(pad, s);
  GstPad *theirs = gst_element_get_static_pad(s->bin, direction == GST_PAD_SRC ? "sink" : "src");
  if (direction == GST_PAD_SINK) {
    gst_pad_set_chain_function(pad, take);
    gst_pad_set_query_function(pad, any_size);
  }
  gst_pad_set_active(pad, TRUE);
  if (direction == GST_PAD_SRC)
    gst_pad_link(pad, theirs);
  else
    gst_pad_link(theirs, pad);
  gst_object_unref(theirs);
  return pad;
}

perch_still *perch_still_new(const char *description) {
  GstElement *bin = gst_parse_bin_from_description(description, TRUE, NULL);
  if (!bin) return NULL;
  perch_still *s = g_new0(perch_still, 1);
  s->bin = gst_object_ref_sink(bin);
  s->encoder = gst_bin_get_by_name(GST_BIN(bin), "encoder");
  s->in = join(s, "in", GST_PAD_SRC);
  s->out = join(s, "out", GST_PAD_SINK);
  if (gst_element_set_state(bin, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
    perch_still_free(s);
    return NULL;
  }
  return s;
}

void perch_still_free(perch_still *s) {
  gst_pad_set_active(s->in, FALSE);
  gst_element_set_state(s->bin, GST_STATE_NULL);
  gst_pad_set_active(s->out, FALSE);
  gst_buffer_replace(&s->made, NULL);
  gst_object_unref(s->in);
  gst_object_unref(s->out);
  gst_object_unref(s->encoder);
  gst_object_unref(s->bin);
  g_free(s);
}

void perch_still_quality(perch_still *s, int quality) { g_object_set(s->encoder, "quality", quality, NULL); }

gboolean perch_still_caps(perch_still *s, const char *description) {
  GstCaps *caps = gst_caps_from_string(description);
  if (!caps) return FALSE;
  if (!s->begun) gst_pad_push_event(s->in, gst_event_new_stream_start("still"));
  gboolean ok = gst_pad_push_event(s->in, gst_event_new_caps(caps));
  gst_caps_unref(caps);
  if (!s->begun) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    ok = gst_pad_push_event(s->in, gst_event_new_segment(&segment)) && ok;
    s->begun = TRUE;
  }
  return ok;
}

GstFlowReturn perch_still_encode(perch_still *s, GstBuffer *b, GstMapInfo *map) {
  GST_BUFFER_PTS(b) = 0;
  GstFlowReturn r = gst_pad_push(s->in, b);
  if (r != GST_FLOW_OK) return r;
  if (!s->made || !gst_buffer_map(s->made, map, GST_MAP_READ)) {
    gst_buffer_replace(&s->made, NULL);
    return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

void perch_still_clear(perch_still *s, GstMapInfo *map) {
  gst_buffer_unmap(s->made, map);
  gst_buffer_replace(&s->made, NULL);
}
