package workflow

import (
	"math"
	"strconv"

	"perch/pipeline"
)

// AppendDetections appends d as the field's clients read it: centre and size
// of each box, in the key order of the session protocol, section 7.
func (e *Encoder) AppendDetections(dst []byte, d *Detections) []byte {
	var dx, dy float64
	w, h := d.Origin.Width, d.Origin.Height
	if !e.Own && !d.Origin.Warped {
		dx, dy, w, h = float64(d.Origin.X), float64(d.Origin.Y), d.Origin.RootWidth, d.Origin.RootHeight
	}
	if len(d.Items) == 0 {
		return append(dst, `{"image":{"width":null,"height":null},"predictions":[]}`...)
	}
	dst = strconv.AppendInt(append(dst, `{"image":{"width":`...), int64(w), 10)
	dst = strconv.AppendInt(append(dst, `,"height":`...), int64(h), 10)
	dst = append(dst, `},"predictions":[`...)
	first := true
	for i := range d.Items {
		it := &d.Items[i]
		if it.Mask != nil && it.Mask.Area() == 0 {
			continue // an empty mask drops the instance
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = e.appendDetection(dst, d, it, dx, dy)
	}
	return append(dst, "]}"...)
}

func (e *Encoder) appendDetection(dst []byte, d *Detections, it *Detection, dx, dy float64) []byte {
	x0, y0, x1, y1 := float64(it.Box.X0), float64(it.Box.Y0), float64(it.Box.X1), float64(it.Box.Y1)
	width, height := x1-x0, y1-y0
	if it.Rect != nil {
		width, height = it.Rect.Width, it.Rect.Height
	}
	dst = AppendFloat(append(dst, `{"width":`...), width)
	dst = AppendFloat(append(dst, `,"height":`...), height)
	dst = AppendFloat(append(dst, `,"x":`...), (x0+x1)/2+dx)
	dst = AppendFloat(append(dst, `,"y":`...), (y0+y1)/2+dy)
	dst = AppendFloat(append(dst, `,"confidence":`...), Decimal(it.Score))
	dst = strconv.AppendInt(append(dst, `,"class_id":`...), int64(it.Class), 10)
	switch {
	case it.Mask == nil:
	case it.Has&HasPolygon != 0 && len(it.Polygon) > 2: // what stands for the mask
		dst = appendPoints(append(dst, `,"points":`...), it.Polygon, dx, dy)
	default:
		dst = appendPoints(append(dst, `,"points":`...), it.Mask.Polygon(), dx, dy)
	}
	if it.Track != 0 {
		dst = strconv.AppendUint(append(dst, `,"tracker_id":`...), uint64(it.Track), 10)
	}
	dst = AppendString(append(dst, `,"class":`...), it.Label)
	dst = append(it.ID.append(append(dst, `,"detection_id":"`...)), '"')
	if it.Has&HasPathDeviation != 0 {
		dst = AppendFloat(append(dst, `,"path_deviation":`...), it.PathDeviation)
	}
	if it.Has&HasTimeInZone != 0 {
		dst = AppendFloat(append(dst, `,"time_in_zone":`...), it.TimeInZone)
	}
	if it.Has&HasPolygon != 0 {
		dst = appendPairs(append(dst, `,"polygon":`...), it.Polygon, dx, dy)
	}
	if it.Rect != nil {
		dst = AppendFloat(append(dst, `,"angle":`...), it.Rect.Angle)
		dst = appendPairs(append(dst, `,"rect":`...), it.Rect.Corners, dx, dy)
	}
	dst = e.appendParents(dst, d)
	if len(it.Keypoints) > 0 {
		dst = appendKeypoints(append(dst, `,"keypoints":`...), d, it, dx, dy)
	}
	if it.Has&HasVelocity != 0 {
		dst = appendPair(append(dst, `,"velocity":`...), it.Velocity)
		dst = AppendFloat(append(dst, `,"speed":`...), it.Speed)
		dst = appendPair(append(dst, `,"smoothed_velocity":`...), it.SmoothedVelocity)
		dst = AppendFloat(append(dst, `,"smoothed_speed":`...), it.SmoothedSpeed)
	}
	if it.Has&HasArea != 0 {
		dst = AppendFloat(append(dst, `,"area_px":`...), it.AreaPX)
	}
	if it.Has&HasConvertedArea != 0 {
		dst = AppendFloat(append(dst, `,"area_converted":`...), it.AreaConverted)
	}
	return append(dst, '}')
}

func (e *Encoder) appendParents(dst []byte, d *Detections) []byte {
	o := d.Origin
	name := o.Name
	if !e.Own && !o.Warped {
		name = o.Root
	}
	dst = AppendString(append(dst, `,"parent_id":`...), name)
	if name == o.Root {
		return dst
	}
	dst = appendOrigin(append(dst, `,"parent_origin":`...), o.X, o.Y, o.Width, o.Height)
	dst = AppendString(append(dst, `,"root_parent_id":`...), o.Root)
	return appendOrigin(append(dst, `,"root_parent_origin":`...), 0, 0, o.RootWidth, o.RootHeight)
}

func appendOrigin(dst []byte, x, y, w, h int) []byte {
	dst = strconv.AppendInt(append(dst, `{"offset_x":`...), int64(x), 10)
	dst = strconv.AppendInt(append(dst, `,"offset_y":`...), int64(y), 10)
	dst = strconv.AppendInt(append(dst, `,"width":`...), int64(w), 10)
	dst = strconv.AppendInt(append(dst, `,"height":`...), int64(h), 10)
	return append(dst, '}')
}

func appendPoints(dst []byte, pts []pipeline.Point, dx, dy float64) []byte {
	dst = append(dst, '[')
	for i, p := range pts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendFloat(append(dst, `{"x":`...), float64(p.X)+dx)
		dst = append(AppendFloat(append(dst, `,"y":`...), float64(p.Y)+dy), '}')
	}
	return append(dst, ']')
}

func appendPairs(dst []byte, pts []pipeline.Point, dx, dy float64) []byte {
	dst = append(dst, '[')
	for i, p := range pts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, '['), int64(math.Round(float64(p.X)+dx)), 10)
		dst = append(strconv.AppendInt(append(dst, ','), int64(math.Round(float64(p.Y)+dy)), 10), ']')
	}
	return append(dst, ']')
}

func appendPair(dst []byte, p [2]float64) []byte {
	dst = append(AppendFloat(append(dst, '['), p[0]), ',')
	return append(AppendFloat(dst, p[1]), ']')
}

func appendKeypoints(dst []byte, d *Detections, it *Detection, dx, dy float64) []byte {
	dst = append(dst, '[')
	for i, k := range it.Keypoints {
		if i > 0 {
			dst = append(dst, ',')
		}
		name := strconv.Itoa(i)
		if i < len(d.Keypoints) {
			name = d.Keypoints[i]
		}
		dst = strconv.AppendInt(append(dst, `{"class_id":`...), int64(i), 10)
		dst = AppendString(append(dst, `,"class":`...), name)
		dst = AppendFloat(append(dst, `,"confidence":`...), Decimal(k.Score))
		dst = AppendFloat(append(dst, `,"x":`...), float64(k.X)+dx)
		dst = append(AppendFloat(append(dst, `,"y":`...), float64(k.Y)+dy), '}')
	}
	return append(dst, ']')
}

// AppendClasses appends a classification in the form of section 7.
func AppendClasses(dst []byte, c *Classes) []byte {
	dst = strconv.AppendInt(append(dst, `{"image":{"width":`...), int64(c.Origin.Width), 10)
	dst = strconv.AppendInt(append(dst, `,"height":`...), int64(c.Origin.Height), 10)
	dst = append(dst, `},"predictions":`...)
	if c.Multi {
		return appendMulti(dst, c)
	}
	dst = append(dst, '[')
	for i, k := range c.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(append(dst, `{"class":`...), k.Label)
		dst = strconv.AppendInt(append(dst, `,"class_id":`...), int64(k.Class), 10)
		dst = append(AppendFloat(append(dst, `,"confidence":`...), Decimal(k.Score)), '}')
	}
	top := c.Top()
	dst = AppendString(append(dst, `],"top":`...), top.Label)
	dst = AppendFloat(append(dst, `,"confidence":`...), Decimal(top.Score))
	dst = AppendString(append(dst, `,"parent_id":`...), c.Origin.Name)
	dst = AppendString(append(dst, `,"root_parent_id":`...), c.Origin.Root)
	return append(dst, `,"prediction_type":"classification"}`...)
}

func appendMulti(dst []byte, c *Classes) []byte {
	dst = append(dst, '{')
	for i, k := range c.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendFloat(append(AppendString(dst, k.Label), `:{"confidence":`...), Decimal(k.Score))
		dst = append(strconv.AppendInt(append(dst, `,"class_id":`...), int64(k.Class), 10), '}')
	}
	dst = append(dst, `},"predicted_classes":[`...)
	for i, k := range c.Picked {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, k.Label)
	}
	dst = AppendString(append(dst, `],"parent_id":`...), c.Origin.Name)
	dst = AppendString(append(dst, `,"root_parent_id":`...), c.Origin.Root)
	return append(dst, `,"prediction_type":"classification"}`...)
}

// Decimal is a score in as few digits as it needs: 0.87 instead of
// 0.8700000047683716. It allocates nothing.
func Decimal(f float32) float64 {
	var buf [32]byte
	v, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], float64(f), 'g', -1, 32)), 64)
	if err != nil {
		return float64(f)
	}
	return v
}
