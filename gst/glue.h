// The parts of GStreamer that go-gst v1.4.0 does not have (GstVideoMeta,
// answers to decodebin on its own threads) or does too slowly for every frame.
// No Go code runs on a streaming thread: what C learns there is kept in a tap
// and asked for later.
#ifndef PERCH_GLUE_H
#define PERCH_GLUE_H

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <gst/video/video.h>

// Codecs that the platform table names; the order is the one of codec.go.
enum { PERCH_H264, PERCH_H265, PERCH_MPEG4, PERCH_MPEG2, PERCH_JPEG, PERCH_VP8, PERCH_VP9, PERCH_AV1, PERCH_CODECS };

// A tap is what one pipeline's callbacks are told and what they found out.
typedef struct perch_tap perch_tap;

typedef struct {
  int codec;            // one of the enum, -1 unknown or raw
  char *description;    // of the compressed stream; "" when raw
  char *decoder;        // factory of the decoder; "" when there is none
  char *orientation;    // image-orientation tag; ""
  char *unknown;        // description of a video stream that nothing decodes; ""
  guint videos, others; // RTSP: streams offered
  guint skipped;        // pictures dropped before the first key frame
  gboolean redirected;  // RTSP: the server sent us elsewhere, where we did not go
  int too_wide, too_high; // size of a picture that is larger than allowed; 0
} perch_found;

gboolean perch_init(char **error);
void perch_trim(void);
void perch_prefer(const char *factory);

// strict: a wanted decoder is used or nothing is.
perch_tap *perch_tap_new(gboolean live, gboolean strict, const char *decoder_settings);
void perch_tap_want(perch_tap *tap, int codec, const char *factory);
void perch_tap_download(perch_tap *tap, const char *feature, const char *description, int best_scaling);
void perch_tap_found(perch_tap *tap, perch_found *out);
void perch_found_clear(perch_found *f);
void perch_tap_unref(perch_tap *tap);
void perch_tap_bound(perch_tap *tap, guint64 max_pixels);
void perch_tap_stay(perch_tap *tap, GstElement *src);
void perch_tap_attach(perch_tap *tap, GstElement *pipeline);

// Pictures that the platform shrinks on their way out of the decoder's memory, by
// the element "scaler" and the capsfilter "size" behind it.
//
// perch_watch_scaler has each picture that reaches the appsink "frames" carry the
// size of the frame that it was made of; it does nothing if the bin has no scaler.
void perch_watch_scaler(GstElement *bin, GstElement *pipeline, int best_scaling);
// perch_whole_size reads that, as it is after turning; 0 by 0 if nothing shrinks.
void perch_whole_size(GstBuffer *buffer, int *width, int *height);
// perch_scale has pictures shrunk from now on, to this size before turning; 0 by 0
// leaves them whole.
void perch_scale(GstElement *pipeline, int width, int height);

// A sink hands out the pictures of an appsink.
typedef struct {
  GstElement *element;
  GstCaps *caps;
  GstVideoInfo info;
} perch_sink;

typedef struct {
  GstSample *sample;
  GstVideoFrame frame;
  guint8 *data[3];
  gsize len[3];
  int stride[3];
  int nv12, width, height, full_range, bt709;
  int whole_width, whole_height; // of the frame that the picture was made of; 0 when nothing shrinks
  int fps_n, fps_d;
  gint64 pts; // running time in ns; -1 unknown
} perch_picture;

enum { PERCH_NONE = 0, PERCH_GOT = 1, PERCH_EOS = -1, PERCH_UNMAPPABLE = -2 };

perch_sink *perch_sink_new(GstElement *appsink);
void perch_sink_free(perch_sink *s);
int perch_pull(perch_sink *s, guint64 timeout_ns, perch_picture **out);
void perch_picture_free(perch_picture *p);

enum { PERCH_MSG_NONE, PERCH_MSG_ERROR, PERCH_MSG_WARNING, PERCH_MSG_EOS, PERCH_MSG_MISSING, PERCH_MSG_CONTENT };
enum { PERCH_DOMAIN_OTHER, PERCH_DOMAIN_CORE, PERCH_DOMAIN_RESOURCE, PERCH_DOMAIN_STREAM };

typedef struct {
  int type, domain, code;
  char *text, *debug, *element;
} perch_message;

void perch_bus_pop(GstElement *pipeline, guint64 timeout_ns, perch_message *out);
void perch_message_clear(perch_message *m);
gint64 perch_duration(GstElement *pipeline);

// Encoding.
typedef struct {
  GstSample *sample;
  GstMapInfo map;
  gint64 pts, duration; // -1 unknown
  int key;
} perch_unit;

// videoconvert changes the range only together with the matrix, so it is done
// here, while copying.
enum { PERCH_RANGE_KEEP, PERCH_RANGE_LIMIT, PERCH_RANGE_EXTEND };

// perch_buffer copies a picture, in the range asked for; NULL when there is no memory.
GstBuffer *perch_buffer(const void *y, const void *u, const void *v, const int strides[3], int nv12, int range, int width,
                        int height, int coded_width, int coded_height);
GstFlowReturn perch_push(GstElement *appsrc, const void *y, const void *u, const void *v, const int strides[3], int nv12, int range,
                         int width, int height, int coded_width, int coded_height, gint64 pts, gint64 duration);
GstFlowReturn perch_push_unit(GstElement *appsrc, const void *data, gsize len, gint64 pts, gint64 duration, gboolean key);
guint64 perch_level(GstElement *appsrc);
void perch_end(GstElement *appsrc);
int perch_pull_unit(GstElement *appsink, guint64 timeout_ns, perch_unit *out);
void perch_unit_clear(perch_unit *u);
void perch_force_key(GstElement *appsink);

// A chain of elements that encodes stills on the caller's thread: without a
// pipeline there are no threads, no queue and nothing that could hang.
typedef struct {
  GstElement *bin, *encoder;
  GstPad *in, *out; // ours, linked to the bin's
  GstBuffer *made; // by the present call
  gboolean begun;
} perch_still;

perch_still *perch_still_new(const char *description);
void perch_still_free(perch_still *s);
void perch_still_quality(perch_still *s, int quality);
// Set when it has changed, and at the beginning.
gboolean perch_still_caps(perch_still *s, const char *caps);
// Takes b. The unit is cleared with perch_still_clear.
GstFlowReturn perch_still_encode(perch_still *s, GstBuffer *b, GstMapInfo *map);
void perch_still_clear(perch_still *s, GstMapInfo *map);

#endif
