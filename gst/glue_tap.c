#include "glue.h"

#include <gst/pbutils/pbutils.h>
#include <malloc.h>
#include <string.h>

// Pictures that may be dropped while waiting for a key frame. A camera that
// refreshes its picture in stripes never sends one: after this many, whatever
// comes is decoded.
#define MAX_SKIPPED 300

struct perch_tap {
  gint refs;
  gboolean live, strict;
  char **settings;                  // "name=value" for decoders, NULL-terminated
  char *wanted[PERCH_CODECS];       // decoder to use; NULL: any
  guint64 max_pixels;               // of a picture; 0: any
  char *location;                   // where an RTSP source must stay; NULL: anywhere
  char *feature, *download;         // caps feature, and the bin that leads out of it
  int best_scaling;                 // "interpolation-method" of a scaler in that bin
  GMutex mu;                        // guards what follows
  int codec;
  char *description, *decoder, *orientation, *unknown;
  guint videos, others, skipped;
  gboolean redirected;
  int too_wide, too_high; // size of a picture above max_pixels; 0: none came
};

gboolean perch_init(char **error) {
  GError *e = NULL;
  if (!gst_init_check(NULL, NULL, &e)) {
    *error = g_strdup(e ? e->message : "unknown error");
    g_clear_error(&e);
    return FALSE;
  }
  gst_pb_utils_init();
#ifdef M_ARENA_MAX
  // Each streaming thread would get a heap of its own, and pictures freed on
  // another thread keep it from shrinking.
  mallopt(M_ARENA_MAX, 4);
#endif
  return TRUE;
}

void perch_trim(void) { malloc_trim(0); }

static gboolean takes(const char *name, GstCaps *caps);

void perch_prefer(const char *factory) {
  GstPluginFeature *f = gst_registry_lookup_feature(gst_registry_get(), factory);
  if (!f) return;
  GstCaps *lengths = gst_caps_from_string("video/x-h264,stream-format=avc;video/x-h265,stream-format=hvc1");
  guint rank = GST_RANK_PRIMARY + (takes(factory, lengths) ? 512 : 1024);
  gst_caps_unref(lengths);
  if (gst_plugin_feature_get_rank(f) != rank) gst_plugin_feature_set_rank(f, rank);
  gst_object_unref(f);
}

perch_tap *perch_tap_new(gboolean live, gboolean strict, const char *decoder_settings) {
  perch_tap *t = g_new0(perch_tap, 1);
  t->refs = 1;
  t->live = live;
  t->strict = strict;
  t->codec = -1;
  t->settings = g_strsplit(decoder_settings, " ", -1);
  g_mutex_init(&t->mu);
  return t;
}

static perch_tap *tap_ref(perch_tap *t) {
  g_atomic_int_inc(&t->refs);
  return t;
}

void perch_tap_unref(perch_tap *t) {
  if (!g_atomic_int_dec_and_test(&t->refs)) return;
  for (int i = 0; i < PERCH_CODECS; i++) g_free(t->wanted[i]);
  g_strfreev(t->settings);
  g_free(t->location);
  g_free(t->feature);
  g_free(t->download);
  g_free(t->description);
  g_free(t->decoder);
  g_free(t->orientation);
  g_free(t->unknown);
  g_mutex_clear(&t->mu);
  g_free(t);
}

static void tap_destroy(gpointer t, GClosure *c) { perch_tap_unref(t); }

void perch_tap_want(perch_tap *t, int codec, const char *factory) { t->wanted[codec] = g_strdup(factory); }

void perch_tap_download(perch_tap *t, const char *feature, const char *description, int best_scaling) {
  t->best_scaling = best_scaling;
  t->feature = g_strdup(feature);
  t->download = g_strdup(description);
}

static char *text(const char *s) { return g_strdup(s ? s : ""); }

void perch_tap_found(perch_tap *t, perch_found *out) {
  g_mutex_lock(&t->mu);
  *out = (perch_found){t->codec,    text(t->description), text(t->decoder), text(t->orientation), text(t->unknown),
                       t->videos,   t->others,            t->skipped,       t->redirected,
                       t->too_wide, t->too_high};
  g_mutex_unlock(&t->mu);
}

void perch_found_clear(perch_found *f) {
  g_free(f->description);
  g_free(f->decoder);
  g_free(f->orientation);
  g_free(f->unknown);
}

static int codec_of(GstCaps *caps) {
  static const char *const names[] = {"video/x-h264", "video/x-h265", "",           "",
                                      "image/jpeg",   "video/x-vp8",  "video/x-vp9", "video/x-av1"};
  if (!caps || gst_caps_get_size(caps) == 0) return -1;
  GstStructure *s = gst_caps_get_structure(caps, 0);
  if (gst_structure_has_name(s, "video/mpeg")) {
    int version = 0;
    gst_structure_get_int(s, "mpegversion", &version);
    return version == 4 ? PERCH_MPEG4 : PERCH_MPEG2;
  }
  // What AVI files call by the names of early encoders.
  if (gst_structure_has_name(s, "video/x-divx") || gst_structure_has_name(s, "video/x-xvid")) return PERCH_MPEG4;
  for (int i = 0; i < PERCH_CODECS; i++)
    if (gst_structure_has_name(s, names[i])) return i;
  return -1;
}

static char *describe(GstCaps *caps) {
  if (strstr(gst_structure_get_name(gst_caps_get_structure(caps, 0)), "unknown")) {
    // The container's own name for the codec is in one of the other fields.
    gint fourcc;
    if (gst_structure_get_int(gst_caps_get_structure(caps, 0), "fourcc", &fourcc))
      return g_strdup_printf("codec %" GST_FOURCC_FORMAT, GST_FOURCC_ARGS((guint32)fourcc));
    char *all = gst_caps_to_string(caps);
    char *some = g_strdup_printf("%.100s", all);
    g_free(all);
    return some;
  }
  char *d = gst_caps_is_fixed(caps) ? gst_pb_utils_get_codec_description(caps) : NULL;
  return d ? d : g_strdup(gst_structure_get_name(gst_caps_get_structure(caps, 0)));
}

static gboolean is_video_decoder(GstElementFactory *f) {
  return gst_element_factory_list_is_type(f, GST_ELEMENT_FACTORY_TYPE_DECODER) &&
         gst_element_factory_list_is_type(f, GST_ELEMENT_FACTORY_TYPE_MEDIA_VIDEO | GST_ELEMENT_FACTORY_TYPE_MEDIA_IMAGE);
}

// takes reports whether the decoder called name is able to take caps at all:
// the platform's choice for a codec may not know each of its dialects.
static gboolean takes(const char *name, GstCaps *caps) {
  GstElementFactory *f = gst_element_factory_find(name);
  gboolean ok = f && gst_element_factory_can_sink_any_caps(f, caps);
  if (f) gst_object_unref(f);
  return ok;
}

// on_select answers GST_AUTOPLUG_SELECT_TRY (0) or _SKIP (2).
static int on_select(GstElement *dec, GstPad *pad, GstCaps *caps, GstElementFactory *f, perch_tap *t) {
  if (!is_video_decoder(f)) return 0;
  const char *name = gst_plugin_feature_get_name(GST_PLUGIN_FEATURE(f));
  int codec = codec_of(caps);
  gboolean skip = codec >= 0 && t->wanted[codec] && strcmp(t->wanted[codec], name) != 0 &&
                  (t->strict || takes(t->wanted[codec], caps));
  g_mutex_lock(&t->mu);
  t->codec = codec;
  g_free(t->description);
  t->description = describe(caps);
  if (!skip) {
    g_free(t->decoder);
    t->decoder = g_strdup(name);
  }
  g_mutex_unlock(&t->mu);
  return skip ? 2 : 0;
}

static void on_unknown(GstElement *dec, GstPad *pad, GstCaps *caps, perch_tap *t) {
  const char *name = gst_structure_get_name(gst_caps_get_structure(caps, 0));
  if (!g_str_has_prefix(name, "video/") && !g_str_has_prefix(name, "image/")) return;
  g_mutex_lock(&t->mu);
  g_free(t->unknown);
  t->unknown = describe(caps);
  g_mutex_unlock(&t->mu);
}

// wait_for_key drops what cannot be decoded yet: a camera is joined in the
// middle of a group of pictures.
static GstPadProbeReturn wait_for_key(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  perch_tap *t = data;
  if (!GST_BUFFER_FLAG_IS_SET(GST_PAD_PROBE_INFO_BUFFER(info), GST_BUFFER_FLAG_DELTA_UNIT)) return GST_PAD_PROBE_REMOVE;
  g_mutex_lock(&t->mu);
  gboolean enough = ++t->skipped > MAX_SKIPPED;
  g_mutex_unlock(&t->mu);
  return enough ? GST_PAD_PROBE_REMOVE : GST_PAD_PROBE_DROP;
}

// on_size stops a stream whose pictures are too large. It looks at what comes to
// the decoder, as far as the container or the parser knows its size, and at what
// the decoder makes. Dropping the caps would not do: decodebin hands them on by
// another way.
static GstPadProbeReturn on_size(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  perch_tap *t = data;
  gboolean stopped;
  int w = 0, h = 0;
  if (info->type & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
    GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);
    if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS) return GST_PAD_PROBE_OK;
    GstCaps *caps;
    gst_event_parse_caps(event, &caps);
    gst_structure_get_int(gst_caps_get_structure(caps, 0), "width", &w);
    gst_structure_get_int(gst_caps_get_structure(caps, 0), "height", &h);
  }
  g_mutex_lock(&t->mu);
  if (w > 0 && h > 0 && (guint64)w * (guint64)h > t->max_pixels) {
    t->too_wide = w;
    t->too_high = h;
  }
  stopped = t->too_wide > 0;
  g_mutex_unlock(&t->mu);
  return stopped && info->type & GST_PAD_PROBE_TYPE_BUFFER ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
}

static void watch_size(perch_tap *t, GstElement *e, const char *name) {
  GstPad *pad = gst_element_get_static_pad(e, name);
  if (!pad) return;
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_BUFFER, on_size, tap_ref(t), (GDestroyNotify)perch_tap_unref);
  gst_object_unref(pad);
}

void perch_tap_bound(perch_tap *t, guint64 max_pixels) { t->max_pixels = max_pixels; }

static void on_element(GstBin *bin, GstBin *sub, GstElement *e, perch_tap *t) {
  GstElementFactory *f = gst_element_get_factory(e);
  if (!f || !is_video_decoder(f)) return;
  for (char **s = t->settings; *s; s++) {
    char *eq = strchr(*s, '=');
    if (!eq) continue;
    char *name = g_strndup(*s, eq - *s);
    if (g_object_class_find_property(G_OBJECT_GET_CLASS(e), name)) gst_util_set_object_arg(G_OBJECT(e), name, eq + 1);
    g_free(name);
  }
  if (t->max_pixels) {
    watch_size(t, e, "sink");
    watch_size(t, e, "src");
  }
  if (!t->live) return;
  GstPad *sink = gst_element_get_static_pad(e, "sink");
  if (!sink) return;
  gst_pad_add_probe(sink, GST_PAD_PROBE_TYPE_BUFFER, wait_for_key, tap_ref(t), (GDestroyNotify)perch_tap_unref);
  gst_object_unref(sink);
}

// on_pad joins the decoder to the element "head", through the bin that leads
// out of the decoder's own memory where the platform has such memory.
static void on_pad(GstElement *dec, GstPad *pad, perch_tap *t) {
  GstBin *pipeline = GST_BIN(GST_OBJECT_PARENT(dec));
  GstElement *head = gst_bin_get_by_name(pipeline, "head");
  GstPad *sink = gst_element_get_static_pad(head, "sink");
  GstCaps *caps = gst_pad_get_current_caps(pad);
  if (!caps) caps = gst_pad_query_caps(pad, NULL);
  if (gst_pad_is_linked(sink) || !g_str_has_prefix(gst_structure_get_name(gst_caps_get_structure(caps, 0)), "video/x-raw")) goto out;
  if (t->feature && gst_caps_features_contains(gst_caps_get_features(caps, 0), t->feature)) {
    GstElement *down = gst_parse_bin_from_description(t->download, TRUE, NULL);
    if (!down) goto out; // a missing element is found when the platform is chosen
    perch_watch_scaler(down, GST_ELEMENT(pipeline), t->best_scaling);
    gst_bin_add(pipeline, down);
    gst_element_link(down, head);
    gst_element_sync_state_with_parent(down);
    gst_object_unref(sink);
    sink = gst_element_get_static_pad(down, "sink");
  }
  gst_pad_link(pad, sink); // a failure reaches the bus as "not linked"
out:
  gst_caps_unref(caps);
  gst_object_unref(sink);
  gst_object_unref(head);
}

static GstPadProbeReturn on_tag(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  perch_tap *t = data;
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);
  if (GST_EVENT_TYPE(event) != GST_EVENT_TAG) return GST_PAD_PROBE_OK;
  GstTagList *tags;
  char *orientation = NULL;
  gst_event_parse_tag(event, &tags);
  if (gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &orientation)) {
    g_mutex_lock(&t->mu);
    g_free(t->orientation);
    t->orientation = orientation;
    g_mutex_unlock(&t->mu);
  }
  return GST_PAD_PROBE_OK;
}

// on_stream chooses the first video stream of a session: an audio track that
// comes first, or a stream of metadata, is never set up.
static gboolean on_stream(GstElement *src, guint num, GstCaps *caps, perch_tap *t) {
  const char *media = gst_structure_get_string(gst_caps_get_structure(caps, 0), "media");
  gboolean video = media && strcmp(media, "video") == 0;
  g_mutex_lock(&t->mu);
  gboolean take = video && t->videos == 0;
  if (video)
    t->videos++;
  else
    t->others++;
  g_mutex_unlock(&t->mu);
  return take;
}

// before_send stops a session that a server has sent to another place: there the
// source's location is not the one that it was opened with. The message is an
// opaque GstRTSPMessage.
static gboolean before_send(GstElement *src, gpointer message, perch_tap *t) {
  char *now = NULL;
  g_object_get(src, "location", &now, NULL);
  gboolean same = g_strcmp0(now, t->location) == 0;
  g_free(now);
  if (!same) {
    g_mutex_lock(&t->mu);
    t->redirected = TRUE;
    g_mutex_unlock(&t->mu);
  }
  return same;
}

static void connect_to(GstElement *e, const char *signal, GCallback f, perch_tap *t) {
  g_signal_connect_data(e, signal, f, tap_ref(t), tap_destroy, 0);
}

// perch_tap_stay makes an RTSP source refuse to be sent elsewhere. Its location
// must have been set.
void perch_tap_stay(perch_tap *t, GstElement *src) {
  g_object_get(src, "location", &t->location, NULL);
  connect_to(src, "before-send", G_CALLBACK(before_send), t);
}

// perch_tap_attach finds the elements "dec", "head" and "src" by name; each may
// be missing.
void perch_tap_attach(perch_tap *t, GstElement *pipeline) {
  GstElement *dec = gst_bin_get_by_name(GST_BIN(pipeline), "dec");
  if (dec) {
    connect_to(dec, "autoplug-select", G_CALLBACK(on_select), t);
    connect_to(dec, "unknown-type", G_CALLBACK(on_unknown), t);
    connect_to(dec, "deep-element-added", G_CALLBACK(on_element), t);
    connect_to(dec, "pad-added", G_CALLBACK(on_pad), t);
    gst_object_unref(dec);
  }
  perch_watch_scaler(pipeline, pipeline, t->best_scaling);
  GstElement *head = gst_bin_get_by_name(GST_BIN(pipeline), "head");
  if (head) {
    // Pictures that need no decoder are looked at here only.
    if (t->max_pixels) watch_size(t, head, "sink");
    GstPad *sink = gst_element_get_static_pad(head, "sink");
    gst_pad_add_probe(sink, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_tag, tap_ref(t), (GDestroyNotify)perch_tap_unref);
    gst_object_unref(sink);
    gst_object_unref(head);
  }
  GstElement *src = gst_bin_get_by_name(GST_BIN(pipeline), "src");
  if (src) {
    if (g_signal_lookup("select-stream", G_OBJECT_TYPE(src))) connect_to(src, "select-stream", G_CALLBACK(on_stream), t);
    gst_object_unref(src);
  }
}
