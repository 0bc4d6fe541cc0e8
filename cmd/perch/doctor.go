package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"perch/cmd/internal/config"
	"perch/cmd/internal/doctor"
	"perch/gst"
	"perch/mqtt"
	"perch/pipeline"
)

func newDoctor(g *globals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at this machine: what is good, what is missing, what to type",
		Long: `Checks everything that Perch stands on and says what to do about what is not
right. It builds nothing, and loads no model while the service runs. The exit
status is 1 when something is missing.`,
		Args: exactly(0, "nothing more"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			report := doctor.Run(cmd.Context(), checks(cfg)...)
			report.About = doctor.Host{Root: "/"}.About(cmd.Context(), version)
			if asJSON {
				err = report.WriteJSON(cmd.OutOrStdout())
			} else {
				err = report.WriteText(cmd.OutOrStdout())
			}
			if err == nil && report.Worst == doctor.Missing {
				err = errSilent
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as one JSON object")
	return cmd
}

// checks are in the order in which a person would look.
func checks(cfg *config.Config) []doctor.Check {
	p := newParts(cfg, slog.New(slog.DiscardHandler))
	host := doctor.Host{Root: "/"}
	list := []doctor.Check{
		host.Board(), host.Power(), host.Memory(), host.Temperature(), host.Clock(), host.GPU(), host.Cameras(v4l2Devices(cfg)...), host.UDPBuffer(),
		{Name: "GStreamer", Do: func(context.Context) []doctor.Finding { return checkMedia(p, host) }},
		{Name: "model", Limit: modelLimit, Do: func(ctx context.Context) []doctor.Finding { return checkModels(ctx, cfg, host) }},
		doctor.Space("data_dir", string(cfg.DataDir)), doctor.Writable("data_dir", string(cfg.DataDir)),
		doctor.Space("cache_dir", string(cfg.CacheDir)), doctor.Writable("cache_dir", string(cfg.CacheDir)),
		doctor.Port("http.listen", cfg.HTTP.Listen),
	}
	if cfg.MQTT.URL.Reveal() != "" {
		list = append(list, doctor.Broker{
			URL: cfg.MQTT.URL.Reveal(), CAFile: string(cfg.MQTT.CAFile), CertFile: string(cfg.MQTT.CertFile), KeyFile: string(cfg.MQTT.KeyFile),
			Auth: func(ctx context.Context) error { return mqtt.Try(ctx, p.mqttOptions()) },
		}.Reachable())
	}
	return list
}

func v4l2Devices(cfg *config.Config) (devices []string) {
	for _, name := range cfg.CameraNames() {
		if kind, where := cfg.Cameras[name].URL.Source(); kind == pipeline.SourceV4L2 {
			devices = append(devices, where)
		}
	}
	return devices
}

func checkMedia(p *parts, host doctor.Host) []doctor.Finding {
	if err := p.openMedia(); err != nil {
		return []doctor.Finding{doctor.FromError("", err, doctor.Missing)}
	}
	info := p.media.Platform()
	list := []doctor.Finding{{Status: doctor.Good, Found: fmt.Sprintf("version %s; platform %s, because %s", p.media.Version(), info.Name, info.Why)}}
	for _, j := range info.Jobs {
		list = append(list, jobFinding(j, host.Model()))
	}
	return list
}

// jobFinding says who does a job on a board of that model, "" for a PC.
func jobFinding(j gst.JobInfo, model string) doctor.Finding {
	f := doctor.Finding{Name: j.Job, Status: doctor.Good, Found: j.Chosen}
	if j.Hardware {
		f.Found += " (hardware)"
	}
	switch {
	case j.Chosen == "":
		f.Status, f.Found = doctor.Warning, "nothing here can do it"
		if j.Job == "decode-h264" {
			f.Status = doctor.Missing // what nearly every camera sends
		}
	case j.Fallback != "":
		f.Status, f.Found = doctor.Warning, f.Found+": "+j.Fallback
	}
	if f.Status == doctor.Good {
		return f
	}
	var packages []string
	device := false
	for _, m := range j.Missing {
		device = device || m.Device
		if m.Package != "" && !m.Device {
			packages = append(packages, m.Package)
		}
	}
	switch {
	case len(packages) > 0:
		f.Hint = "sudo apt-get install " + strings.Join(unique(packages), " ")
	case device && j.Job == "encode-h264" && strings.Contains(model, "Orin Nano"):
		// There is nothing to mend: NVIDIA sells the module without an encoder.
		f.Status = doctor.Good
		f.Found = j.Chosen + ": an Orin Nano has no video encoder, so live pictures and annotated video are encoded by the processor; preview.max_width and preview.fps say how much of it a live picture takes, which without a viewer is none"
	case device:
		f.Hint = "the driver is not loaded, or the device is not handed into this container; on a Jetson: ls -l /dev/v4l2-nv* /dev/nvhost-*"
	}
	return f
}

func unique(s []string) (out []string) {
	seen := map[string]bool{}
	for _, v := range s {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
