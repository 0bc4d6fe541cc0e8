package query

import (
	"fmt"
	"math"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// property is something that can be asked of a detection.
type property struct {
	name string
	// one is its value for one detection.
	one getter
	// all is its value in a list of all, where that differs: points are
	// rounded there.
	all getter
}

type getter func(d *workflow.Detections, it *workflow.Detection) workflow.Value

var properties = [...]property{
	{name: "confidence", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		return workflow.FloatOf(workflow.Decimal(it.Score))
	}},
	{name: "class_name", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		return workflow.StringOf(it.Label)
	}},
	{name: "class_id", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		return workflow.IntOf(int64(it.Class))
	}},
	{name: "x_min", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value { return float(it.Box.X0) }},
	{name: "x_max", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value { return float(it.Box.X1) }},
	{name: "y_min", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value { return float(it.Box.Y0) }},
	{name: "y_max", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value { return float(it.Box.Y1) }},
	{name: "size", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		return workflow.FloatOf(boxArea(it))
	}},
	{"center", exact(center), rounded(center)},
	{"top_left", exact(topLeft), rounded(topLeft)},
	{"top_right", exact(topRight), rounded(topRight)},
	{"bottom_left", exact(bottomLeft), rounded(bottomLeft)},
	{"bottom_right", exact(bottomRight), rounded(bottomRight)},
	{name: "tracker_id", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		if it.Track == 0 {
			return workflow.Value{}
		}
		return workflow.IntOf(int64(it.Track))
	}},
	{name: "detection_id", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		return workflow.StringOf(it.ID.String())
	}},
	extra("time_in_zone", workflow.HasTimeInZone, func(it *workflow.Detection) workflow.Value { return workflow.FloatOf(it.TimeInZone) }),
	extra("path_deviation", workflow.HasPathDeviation, func(it *workflow.Detection) workflow.Value { return workflow.FloatOf(it.PathDeviation) }),
	extra("velocity", workflow.HasVelocity, func(it *workflow.Detection) workflow.Value { return pair(it.Velocity) }),
	extra("speed", workflow.HasVelocity, func(it *workflow.Detection) workflow.Value { return workflow.FloatOf(it.Speed) }),
	extra("smoothed_velocity", workflow.HasVelocity, func(it *workflow.Detection) workflow.Value { return pair(it.SmoothedVelocity) }),
	extra("smoothed_speed", workflow.HasVelocity, func(it *workflow.Detection) workflow.Value { return workflow.FloatOf(it.SmoothedSpeed) }),
	extra("polygon", workflow.HasPolygon, func(it *workflow.Detection) workflow.Value { return workflow.ValueOfPoints(it.Polygon) }),
	extra("area_px", workflow.HasArea, func(it *workflow.Detection) workflow.Value { return workflow.FloatOf(it.AreaPX) }),
	extra("area_converted", workflow.HasConvertedArea, func(it *workflow.Detection) workflow.Value { return workflow.FloatOf(it.AreaConverted) }),
	extra("parent_class", workflow.HasParentClass, func(it *workflow.Detection) workflow.Value { return workflow.StringOf(it.ParentClass) }),
	{name: "keypoints_xy", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		if it.Keypoints == nil {
			return workflow.Value{}
		}
		pts := make([]pipeline.Point, len(it.Keypoints))
		for i, k := range it.Keypoints {
			pts[i] = k.Point
		}
		return workflow.ValueOfPoints(pts)
	}},
	{name: "image_dimensions", one: func(d *workflow.Detections, _ *workflow.Detection) workflow.Value {
		return workflow.ListOf([]workflow.Value{workflow.IntOf(int64(d.Origin.Height)), workflow.IntOf(int64(d.Origin.Width))})
	}},
	{name: "prediction_type", one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		switch {
		case it.Mask != nil:
			return workflow.StringOf("instance-segmentation")
		case it.Keypoints != nil:
			return workflow.StringOf("keypoint-detection")
		}
		return workflow.StringOf("object-detection")
	}},
}

func float(f float32) workflow.Value { return workflow.FloatOf(float64(f)) }

func pair(p [2]float64) workflow.Value {
	return workflow.ListOf([]workflow.Value{workflow.FloatOf(p[0]), workflow.FloatOf(p[1])})
}

// extra is a property that a detection has only after a certain block.
func extra(name string, has workflow.Extra, get func(it *workflow.Detection) workflow.Value) property {
	return property{name: name, one: func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		if it.Has&has == 0 {
			return workflow.Value{}
		}
		return get(it)
	}}
}

// place is a point of a box.
type place func(b pipeline.Box) (x, y float64)

func center(b pipeline.Box) (x, y float64) {
	return (float64(b.X0) + float64(b.X1)) / 2, (float64(b.Y0) + float64(b.Y1)) / 2
}
func topLeft(b pipeline.Box) (x, y float64)     { return float64(b.X0), float64(b.Y0) }
func topRight(b pipeline.Box) (x, y float64)    { return float64(b.X1), float64(b.Y0) }
func bottomLeft(b pipeline.Box) (x, y float64)  { return float64(b.X0), float64(b.Y1) }
func bottomRight(b pipeline.Box) (x, y float64) { return float64(b.X1), float64(b.Y1) }

func exact(at place) getter {
	return func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		x, y := at(it.Box)
		return pair([2]float64{x, y})
	}
}

func rounded(at place) getter {
	return func(_ *workflow.Detections, it *workflow.Detection) workflow.Value {
		x, y := at(it.Box)
		return workflow.ListOf([]workflow.Value{NumberOf(math.RoundToEven(x), true), NumberOf(math.RoundToEven(y), true)})
	}
}

// placeOf is the point of a box that a property names, nil if it names none.
func placeOf(name string) place {
	switch name {
	case "center":
		return center
	case "top_left":
		return topLeft
	case "top_right":
		return topRight
	case "bottom_left":
		return bottomLeft
	case "bottom_right":
		return bottomRight
	}
	return nil
}

func boxArea(it *workflow.Detection) float64 {
	return (float64(it.Box.X1) - float64(it.Box.X0)) * (float64(it.Box.Y1) - float64(it.Box.Y0))
}

// property reads the name of a property.
func (n node) property() (*property, error) {
	var names []string
	for _, p := range properties {
		names = append(names, p.name)
	}
	i, err := n.word("property_name", names)
	if err != nil {
		return nil, err
	}
	return &properties[i], nil
}

func buildExtractAll(_ *compiler, n node) (op, error) {
	p, err := n.property()
	if err != nil {
		return nil, err
	}
	get := p.one
	if p.all != nil {
		get = p.all
	}
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		d, err := detections(v, "DetectionsPropertyExtract")
		if err != nil {
			return v, err
		}
		list := make([]workflow.Value, len(d.Items))
		for i := range d.Items {
			list[i] = get(d, &d.Items[i])
		}
		return workflow.ListOf(list), st.spend(len(list))
	}, nil
}

func buildExtractOne(_ *compiler, n node) (op, error) {
	p, err := n.property()
	if err != nil {
		return nil, err
	}
	return func(_ *state, v workflow.Value) (workflow.Value, error) {
		d, err := detections(v, "ExtractDetectionProperty")
		if err != nil {
			return v, err
		}
		if len(d.Items) != 1 {
			return v, fmt.Errorf("ExtractDetectionProperty needs exactly one detection and is given %d (DetectionsPropertyExtract makes a list of all)", len(d.Items))
		}
		return p.one(d, &d.Items[0]), nil
	}, nil
}
