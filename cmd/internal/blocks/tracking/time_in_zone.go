package tracking

import (
	"fmt"
	"math"

	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func timeInZone(version int) *workflow.Manifest {
	zone := workflow.Field{
		Name: "zone", Required: true, Kinds: []workflow.Kind{workflow.ListKind, workflow.ZoneKind}, Literal: workflow.PointsLiteral, MinItems: 3,
		Doc: "the zone's corners [[x, y], ...], three or more, in pixels of the image",
	}
	if version >= 3 {
		zone.Literal, zone.MinItems = workflow.AnyLiteral, 0
		zone.Doc += "; or a list of such zones, and then being in any of them counts"
	}
	fields := []workflow.Field{frameField(version)}
	if version == 1 {
		fields = append(fields, workflow.Field{Name: "image", Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.NoPixels, Doc: "the frame; not used, because the metadata says it all"})
	}
	return &workflow.Manifest{
		Type: fmt.Sprintf("%stime_in_zone@v%d", prefix, version), Title: "Time in Zone", Group: group,
		Doc: "Measures how long each object has been in a zone and adds it to its detection as time_in_zone. Time is that of the video for a file and that of the clock for a camera. " +
			"Coming in is an event zone.entered, leaving one zone.left; so is being out of sight for 10 s, although the time goes on should the object be seen inside again. " +
			"Zone, anchor and flags are fixed at the first frame that has a zone; the 4096 tracks seen last are remembered.",
		Fields: append(fields,
			trackedField(),
			zone,
			anchorField(workflow.StringOf("CENTER"), "the place on a box that must be in the zone"),
			workflow.Field{Name: "remove_out_of_zone_detections", Default: workflow.BoolOf(true), Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral,
				Doc: "leave out detections that are not in the zone; otherwise they are put out with a time of 0"},
			workflow.Field{Name: "reset_out_of_zone_detections", Default: workflow.BoolOf(true), Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral,
				Doc: "begin at 0 when an object comes in again; otherwise its time counts from when it first came in"},
		),
		Outputs: []workflow.Output{{Name: "timed_detections", Like: "detections", Doc: "the detections with time_in_zone in seconds"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			b := &zoneBlock{
				step: p.Step(), detections: p.In("detections"), zone: p.In("zone"), anchor: p.In("triggering_anchor"),
				remove: p.In("remove_out_of_zone_detections"), reset: p.In("reset_out_of_zone_detections"), many: version >= 3,
			}
			return b, b.check(p)
		},
	}
}

type zoneBlock struct {
	step                                    string
	detections, zone, anchor, remove, reset workflow.In
	many                                    bool

	clock clock
	dwell *track.Dwell
	dets  []pipeline.Detection
}

// check finds what is wrong with a zone that is known before the run.
func (b *zoneBlock) check(p *workflow.Params) error {
	zone, known := p.Const("zone")
	anchor, alsoKnown := p.Const("triggering_anchor")
	if !known || !alsoKnown {
		return nil
	}
	anchors, err := anchorsOf(anchor)
	if err != nil {
		return fault(p, "triggering_anchor", err)
	}
	zones, err := b.zones(zone, anchors)
	if err == nil && len(zones) == 0 {
		return p.Fault("zone", "it is empty", "give three points or more")
	}
	if err != nil {
		return fault(p, "zone", err)
	}
	return nil
}

// zones reads one zone or several; an empty list is none.
func (b *zoneBlock) zones(v workflow.Value, anchors []track.Anchor) ([]*track.Zone, error) {
	if items, ok := v.Items(); ok && len(items) == 0 {
		return nil, nil
	}
	polygons, err := workflow.PolygonsOf(v)
	if err != nil {
		return nil, fmt.Errorf("the zone: %w", err)
	}
	if len(polygons) > 1 && !b.many {
		return nil, fmt.Errorf("there are %d zones, and this version of the block takes one: use time_in_zone@v3", len(polygons))
	}
	var zones []*track.Zone
	for _, p := range polygons {
		z, err := track.NewZone(p, anchors...)
		if err != nil {
			return nil, err
		}
		zones = append(zones, z)
	}
	return zones, nil
}

// prepare makes the measurement on the first frame that has a zone. A zone that
// another step finds may not be there yet: then nobody is in it.
func (b *zoneBlock) prepare(c *workflow.Call) error {
	anchors, err := anchorsOf(c.Value(b.anchor))
	if err != nil {
		return err
	}
	o := track.DwellOptions{}
	if o.Zones, err = b.zones(c.Value(b.zone), anchors); err != nil || len(o.Zones) == 0 {
		return err
	}
	remove, err := c.Bool(b.remove)
	if err != nil {
		return err
	}
	reset, err := c.Bool(b.reset)
	if err != nil {
		return err
	}
	o.KeepOutside, o.KeepTime = !remove, !reset
	b.dwell, err = track.NewDwell(o)
	return err
}

// Run implements [workflow.Block].
func (b *zoneBlock) Run(c *workflow.Call) error {
	if err := onFrame(c); err != nil {
		return err
	}
	d, err := c.Detections(b.detections)
	if err != nil {
		return err
	}
	if b.dwell == nil {
		if err := b.prepare(c); err != nil {
			return err
		}
	}
	out := c.NewDetections(d.Origin)
	out.Like(d)
	c.Set(0, workflow.DetectionsOf(out))
	at := b.clock.at(c.Frame())
	if b.dwell == nil {
		return b.nowhere(c, d, out)
	}
	b.dets = plain(b.dets, d)
	present, err := b.dwell.Update(b.dets, at)
	if err != nil {
		return err
	}
	for _, p := range present {
		addTimed(out, &d.Items[p.Index], p.Time.Seconds())
	}
	for _, p := range b.dwell.Passages() {
		if err := b.tell(c, p); err != nil {
			return err
		}
	}
	return nil
}

// nowhere puts out what is known while there is no zone.
func (b *zoneBlock) nowhere(c *workflow.Call, d, out *workflow.Detections) error {
	remove, err := c.Bool(b.remove)
	if err != nil || remove {
		return err
	}
	for i := range d.Items {
		addTimed(out, &d.Items[i], 0)
	}
	return nil
}

func addTimed(out *workflow.Detections, d *workflow.Detection, seconds float64) {
	out.Items = append(out.Items, *d)
	it := &out.Items[len(out.Items)-1]
	it.TimeInZone = seconds
	it.Has |= workflow.HasTimeInZone
}

// entering and leaving are the details of events zone.entered and zone.left.
type entering struct {
	Zone string `json:"zone"`
}

type leaving struct {
	Zone    string  `json:"zone"`
	Seconds float64 `json:"seconds"`        // how long it was in
	Gone    bool    `json:"gone,omitempty"` // it was last seen inside
}

func (b *zoneBlock) tell(c *workflow.Call, p track.Passage) error {
	var who workflow.Detection
	who.Track, who.Label = p.Track, p.Label
	if p.In {
		return c.Emit("zone.entered", &who, entering{b.step})
	}
	return c.Emit("zone.left", &who, leaving{b.step, math.Round(p.Time.Seconds()*1000) / 1000, p.Gone})
}
