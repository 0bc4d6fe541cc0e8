/* Force-included into every C file (build.sh), so that a program compiled with
 * the headers of GStreamer 1.22 or newer starts on 1.20.3, which JetPack 6 has.
 *
 * go-gst v1.4.0 uses one function that 1.20.3 lacks. It reads an object's debug
 * id, which Perch never asks for. A program that is linked with -z now, as ours
 * is, would not start for want of it.
 */
#if defined(__has_include)
#if __has_include(<gst/gst.h>)
#include <gst/gst.h>
static inline const gchar *perch_gst_debug_message_get_id(GstDebugMessage *m) { (void)m; return NULL; }
#define gst_debug_message_get_id perch_gst_debug_message_get_id
#endif
#endif
