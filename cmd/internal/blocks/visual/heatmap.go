package visual

import (
	"math"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// maxStill bounds for how many tracks it is remembered where they last moved.
const maxStill = 4096

func heatmap() *workflow.Manifest {
	at := position("position", "BOTTOM_CENTER", "the place on the detection that counts")
	at.Enum = without(track.AnchorNames(), "CENTER_OF_MASS")
	hue := func(name string, standard int, doc string) workflow.Field { return whole(name, standard, 0, 180, doc) }
	m := manifest("heatmap_visualization@v1", "HeatmapVisualization", "Heatmap Visualization",
		"Tints the places where detections have been since the run began, by how often. It starts anew when the image's size changes.",
		predictions(workflow.AnyDetections()...),
		workflow.Field{Name: "metadata", Kinds: []workflow.Kind{workflow.VideoMetadata}, Doc: "accepted and without effect: a run has one video"},
		at,
		fraction("opacity", 0.2, "strength of the colour, 0 to 1"),
		whole("radius", 40, 1, 1000, "how far around the place a detection counts"),
		whole("kernel_size", 25, 1, 1000, "side of the square over which the map is evened out"),
		hue("top_hue", 0, "hue of the most frequent places in half degrees: 0 is red"),
		hue("low_hue", 125, "hue of the least frequent places in half degrees: 125 is blue"),
		workflow.Field{
			Name: "ignore_stationary", Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Default: workflow.BoolOf(true),
			Doc: "count a tracked detection only when it has moved; what is not tracked always counts",
		},
		whole("motion_threshold", 25, 0, 10_000, "how far a tracked detection must have moved to count again"))
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newPainter(p)
		if err != nil {
			return nil, err
		}
		where, err := newAnchor(p, "position")
		return &heatmapBlock{
			painter: base, predictions: p.In("predictions"), at: where, opacity: p.In("opacity"), radius: p.In("radius"), kernel: p.In("kernel_size"),
			top: p.In("top_hue"), low: p.In("low_hue"), ignore: p.In("ignore_stationary"), threshold: p.In("motion_threshold"),
			still: map[pipeline.TrackID]pipeline.Point{},
		}, err
	}
	return m
}

type heatmapBlock struct {
	painter
	predictions, opacity, radius, kernel, top, low, ignore, threshold workflow.In
	at                                                                anchor
	heat                                                              draw.Heat
	still                                                             map[pipeline.TrackID]pipeline.Point
	points                                                            []pipeline.Point // reused
}

// Run implements [workflow.Block].
func (b *heatmapBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	d, at, opacity, radius, kernel := r.detections(b.predictions), b.at.of(&r), r.float(b.opacity), r.int(b.radius), r.int(b.kernel)
	top, low, ignore, threshold := r.int(b.top), r.int(b.low), r.bool(b.ignore), r.int(b.threshold)
	img := b.canvas(&r)
	if r.err != nil {
		return r.err
	}
	b.points = b.points[:0]
	for i := range d.Items {
		p := at.Of(&d.Items[i].Detection)
		if id := d.Items[i].Track; !ignore || id == 0 || b.moved(id, p, threshold) {
			b.points = append(b.points, p)
		}
	}
	if len(b.points) > 0 {
		b.heat.Add(img.Picture, b.points, float32(radius))
	}
	b.Heat(img.Picture, &b.heat, opacity, kernel, float32(2*top), float32(2*low))
	return nil
}

// moved reports whether a track is far enough from where it last was when it
// had moved. On first sight it has not.
func (b *heatmapBlock) moved(id pipeline.TrackID, p pipeline.Point, threshold int) bool {
	last, known := b.still[id]
	if known && math.Hypot(float64(p.X-last.X), float64(p.Y-last.Y)) < float64(threshold) {
		return false
	}
	if !known && len(b.still) >= maxStill {
		clear(b.still) // those that are still there are seen for the first time again
	}
	b.still[id] = p
	return known
}
