package main

import (
	"strings"
	"testing"

	"perch/cmd/internal/doctor"
	"perch/gst"
)

func TestWhatDoctorSaysOfElements(t *testing.T) {
	noDevice := gst.MissingElement{Element: "nvv4l2h264enc", Package: "nvidia-l4t-gstreamer", Why: "no device /dev/v4l2-nvenc", Device: true}
	notInstalled := gst.MissingElement{Element: "nvv4l2decoder", Package: "nvidia-l4t-gstreamer", Why: "not installed"}
	encoder := gst.JobInfo{Job: "encode-h264", Chosen: "x264enc", Missing: []gst.MissingElement{noDevice}, Fallback: "nvv4l2h264enc: no device /dev/v4l2-nvenc"}
	for name, tt := range map[string]struct {
		job         gst.JobInfo
		model       string
		status      doctor.Status
		found, hint string
	}{
		"all is well":   {gst.JobInfo{Job: "decode-h264", Chosen: "nvv4l2decoder", Hardware: true}, "NVIDIA Jetson AGX Orin", doctor.Good, "nvv4l2decoder (hardware)", ""},
		"not installed": {gst.JobInfo{Job: "decode-h264", Chosen: "avdec_h264", Missing: []gst.MissingElement{notInstalled}, Fallback: "nvv4l2decoder: not installed"}, "NVIDIA Jetson AGX Orin", doctor.Warning, "avdec_h264: nvv4l2decoder: not installed", "sudo apt-get install nvidia-l4t-gstreamer"},
		"nothing at all": {gst.JobInfo{Job: "decode-h264", Missing: []gst.MissingElement{notInstalled, {Element: "avdec_h264", Package: "gstreamer1.0-libav", Why: "not installed"}}}, "", doctor.Missing,
			"nothing here can do it", "sudo apt-get install nvidia-l4t-gstreamer gstreamer1.0-libav"},
		"an Orin Nano":                 {encoder, "NVIDIA Jetson Orin Nano Developer Kit", doctor.Good, "an Orin Nano has no video encoder", ""},
		"an encoder without device":    {encoder, "NVIDIA Jetson AGX Orin", doctor.Warning, "no device /dev/v4l2-nvenc", "handed into this container"},
		"an Orin Nano without x264enc": {gst.JobInfo{Job: "encode-h264", Missing: []gst.MissingElement{noDevice, {Element: "x264enc", Package: "gstreamer1.0-plugins-ugly", Why: "not installed"}}}, "NVIDIA Jetson Orin Nano Developer Kit", doctor.Warning, "nothing here can do it", "sudo apt-get install gstreamer1.0-plugins-ugly"},
	} {
		f := jobFinding(tt.job, tt.model)
		if f.Status != tt.status || !strings.Contains(f.Found, tt.found) || !strings.Contains(f.Hint, tt.hint) || (tt.hint == "") != (f.Hint == "") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
