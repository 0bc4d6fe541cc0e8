package gst

import (
	"fmt"
	"slices"
	"strings"

	"perch/pipeline"
)

// PlatformInfo says what this machine's GStreamer does with what.
type PlatformInfo struct {
	Name string    // "jetson", "nvidia", "software" or "rehearsal"
	Why  string    // what it was recognised by
	Jobs []JobInfo // in the order of the table
}

// JobInfo is one line of the platform table.
type JobInfo struct {
	Job          string           // key for Options.Elements, for example "decode-h264"
	Chosen       string           // element that does it; "" when nothing can
	Hardware     bool             // Chosen uses the video hardware
	Alternatives []string         // lesser elements that are present
	Missing      []MissingElement // better elements than Chosen that are not
	Fallback     string           // why a lesser element does it; "" when the best does
}

// A MissingElement is not in the registry, or has no device to work on.
type MissingElement struct {
	Element string
	Package string // Debian package that brings it
	Why     string // "not installed", or which device is missing
	Device  bool   // it is installed and has no device to work on
}

// elements is what the choice is made from.
type elements interface {
	has(element string) bool
	exists(path string) bool
}

// A candidate is an element that can do a job.
type candidate struct {
	element  string
	pkg      string
	hardware bool
	optional bool     // nothing is wrong when it is missing
	devices  []string // one of these files must exist
}

// A job is what must be done and who can do it, the best first.
type job struct {
	key        string
	candidates []candidate
	present    []candidate
	missing    []MissingElement
	forced     string // from the configuration
}

// A platform is a table whose choices have been made.
type platform struct {
	name, why string
	jobs      []job
	// Decoders whose pictures lie in memory of their own are left through this
	// bin. If it scales, it has the elements "scaler" and, behind it, a capsfilter
	// "size".
	downloadFeature, download string
	scales                    bool
}

const (
	jetson   = "jetson"
	nvidia   = "nvidia"
	software = "software"
	// rehearsal is software, with a scaler where a Jetson has one: what shrinks
	// pictures there can be tried on any machine. It is chosen by name only.
	rehearsal = "rehearsal"
)

// bestScaling is nvvidconv's "Nicest". Its own choice leaves samples out, which
// small objects do not survive. A scaler without that property goes on as it is.
const bestScaling = 5

// choosePlatform finds out where we are and who is there.
func choosePlatform(o Options, reg elements) (*platform, error) {
	name, why := recognise(reg)
	if o.Platform != "" {
		name, why = o.Platform, "set in the configuration"
	}
	p, ok := platformTable(name)
	if !ok {
		return nil, &pipeline.Error{Op: "choose platform", On: o.Platform, Kind: pipeline.BadConfig, Err: fmt.Errorf("unknown platform"), Hint: "known are jetson, nvidia, software and rehearsal"}
	}
	p.why = why
	for i := range p.jobs {
		p.jobs[i].look(reg)
	}
	for _, key := range sortedKeys(o.Elements) {
		if err := p.force(key, o.Elements[key], reg); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// recognise tells a Jetson by its own plugins, or by its release file when
// they are not installed, so that their absence can be reported.
func recognise(reg elements) (name, why string) {
	for _, e := range []string{"nvvidconv", "nvarguscamerasrc"} {
		if reg.has(e) {
			return jetson, e + " is in GStreamer's registry"
		}
	}
	if reg.exists("/etc/nv_tegra_release") {
		return jetson, "/etc/nv_tegra_release exists"
	}
	for _, e := range []string{"nvh264dec", "nvh265dec"} {
		if reg.has(e) {
			return nvidia, e + " is in GStreamer's registry"
		}
	}
	return software, "no NVIDIA element is in GStreamer's registry"
}

func (j *job) look(reg elements) {
	for _, c := range j.candidates {
		switch {
		case !reg.has(c.element):
			j.missing = append(j.missing, MissingElement{Element: c.element, Package: c.pkg, Why: "not installed"})
		case len(c.devices) > 0 && !slices.ContainsFunc(c.devices, reg.exists):
			j.missing = append(j.missing, MissingElement{Element: c.element, Package: c.pkg, Why: "no device " + strings.Join(c.devices, " or "), Device: true})
		default:
			j.present = append(j.present, c)
		}
	}
}

// force puts element first in the job named key.
func (p *platform) force(key, element string, reg elements) error {
	i := slices.IndexFunc(p.jobs, func(j job) bool { return j.key == key })
	if i < 0 {
		keys := make([]string, len(p.jobs))
		for i, j := range p.jobs {
			keys[i] = j.key
		}
		return &pipeline.Error{Op: "choose element for", On: key, Kind: pipeline.BadConfig, Err: fmt.Errorf("unknown job"), Hint: "known are " + strings.Join(keys, ", ")}
	}
	j := &p.jobs[i]
	if !reg.has(element) {
		return &pipeline.Error{Op: "choose element for", On: key, Kind: pipeline.BadConfig, Err: fmt.Errorf("GStreamer has no element %q here", element), Hint: installHint(element)}
	}
	c := candidate{element: element, pkg: packageOf(element)}
	if at := slices.IndexFunc(j.candidates, func(c candidate) bool { return c.element == element }); at >= 0 {
		c = j.candidates[at]
	}
	j.present = append([]candidate{c}, slices.DeleteFunc(j.present, func(c candidate) bool { return c.element == element })...)
	j.forced = element
	return nil
}

// job returns the line for key; it panics when there is none.
func (p *platform) job(key string) *job {
	for i := range p.jobs {
		if p.jobs[i].key == key {
			return &p.jobs[i]
		}
	}
	panic("gst: no job " + key)
}

// fallback says why chosen does the job although a better element should; ""
// when it is the best, or was asked for.
func (j *job) fallback(chosen string) string {
	if j.forced == chosen {
		return ""
	}
	for _, c := range j.candidates {
		if c.element == chosen {
			break
		}
		if c.optional {
			continue
		}
		for _, m := range j.missing {
			if m.Element == c.element {
				return fmt.Sprintf("%s: %s (package %s)", m.Element, m.Why, m.Package)
			}
		}
	}
	return ""
}

func (p *platform) info() PlatformInfo {
	out := PlatformInfo{Name: p.name, Why: p.why}
	for i := range p.jobs {
		j := &p.jobs[i]
		info := JobInfo{Job: j.key}
		if len(j.present) > 0 {
			info.Chosen, info.Hardware = j.present[0].element, j.present[0].hardware
			info.Fallback = j.fallback(info.Chosen)
			for _, c := range j.present[1:] {
				info.Alternatives = append(info.Alternatives, c.element)
			}
		}
		for _, m := range j.missing {
			if info.Chosen == "" || j.rank(m.Element) < j.rank(info.Chosen) {
				info.Missing = append(info.Missing, m)
			}
		}
		out.Jobs = append(out.Jobs, info)
	}
	return out
}

func (j *job) rank(element string) int {
	return slices.IndexFunc(j.candidates, func(c candidate) bool { return c.element == element })
}

// wanted returns the decoder of each codec, given what the source asks for and
// which have failed.
func (p *platform) wanted(override string, excluded map[string]string) map[codec]string {
	out := map[codec]string{}
	for c := codec(0); c < numCodecs; c++ {
		if override != "" && override != software {
			out[c] = override
			continue
		}
		for _, d := range p.job(c.job()).present {
			if _, failed := excluded[d.element]; !failed && !(override == software && d.hardware) {
				out[c] = d.element
				break
			}
		}
	}
	return out
}

// candidate returns what the table says of a decoder; nil when it is not there.
func (p *platform) candidate(c codec, decoder string) *candidate {
	if c < 0 || c >= numCodecs {
		return nil
	}
	j := p.job(c.job())
	for i := range j.present {
		if j.present[i].element == decoder {
			return &j.present[i]
		}
	}
	return nil
}

// judge says whether decoder is hardware, and why it is not the best one.
func (p *platform) judge(c codec, decoder string, excluded map[string]string) (hardware bool, fallback string) {
	if d := p.candidate(c, decoder); d != nil {
		hardware = d.hardware
	}
	j := p.job(c.job())
	for _, d := range j.present {
		if d.element == decoder {
			break
		}
		if why, failed := excluded[d.element]; failed {
			return hardware, d.element + " failed: " + why
		}
		if !d.optional {
			return hardware, fmt.Sprintf("%s does not take this kind of %v", d.element, c)
		}
	}
	return hardware, j.fallback(decoder)
}
