package track

import "perch/pipeline"

// How uncertain a box is, as parts of its height (DeepSORT's authors' program;
// ByteTrack takes them over), and as plain numbers for the aspect ratio, which
// has no unit.
const (
	positionWeight = 1.0 / 20
	velocityWeight = 1.0 / 160
	aspectNoise    = 1e-2
	aspectDrift    = 1e-5
	aspectMeasured = 1e-1
)

// The quantities that are measured of a box.
const (
	centreX = iota
	centreY
	aspect // width / height
	height
	quantities
)

// An axis is one quantity p and its change v per frame, with their covariance.
type axis struct{ p, v, pp, pv, vv float64 }

// A filter is the Kalman filter of one box: eight states (cx, cy, a, h and
// their velocities), constant velocity, of which the first four are measured.
//
// All of its noise is diagonal and it begins uncorrelated, so the 8 x 8
// covariance never holds anything but four 2 x 2 blocks: four filters of two
// states each are not an approximation of it but the same filter.
type filter [quantities]axis

// measure returns a box as the filter sees it. The box must have an area.
func measure(b pipeline.Box) [quantities]float64 {
	w, h := float64(b.X1)-float64(b.X0), float64(b.Y1)-float64(b.Y0)
	return [quantities]float64{float64(b.X0) + w/2, float64(b.Y0) + h/2, w / h, h}
}

// begin returns the filter after the first measurement: standing still, with
// twice and ten times the uncertainty of a step.
func begin(z [quantities]float64) (f filter) {
	position, velocity := squared(2*positionWeight*z[height]), squared(10*velocityWeight*z[height])
	for i := range f {
		f[i] = axis{p: z[i], pp: position, vv: velocity}
	}
	f[aspect].pp, f[aspect].vv = squared(aspectNoise), squared(aspectDrift)
	return f
}

// predict moves the filter on by one frame.
func (f *filter) predict() {
	position, velocity := squared(positionWeight*f[height].p), squared(velocityWeight*f[height].p)
	for i := range f {
		a, qp, qv := &f[i], position, velocity
		if i == aspect {
			qp, qv = squared(aspectNoise), squared(aspectDrift)
		}
		a.p += a.v
		a.pp += 2*a.pv + a.vv + qp
		a.pv += a.vv
		a.vv += qv
	}
}

// update takes a measurement in.
func (f *filter) update(z [quantities]float64) {
	measured := squared(positionWeight * f[height].p)
	for i := range f {
		a, r := &f[i], measured
		if i == aspect {
			r = squared(aspectMeasured)
		}
		gainP, gainV, residual := a.pp/(a.pp+r), a.pv/(a.pp+r), z[i]-a.p
		a.p += gainP * residual
		a.v += gainV * residual
		a.vv -= gainV * a.pv // before pv, which it needs as it was
		a.pv -= gainP * a.pv
		a.pp -= gainP * a.pp
	}
}

// box returns where the filter believes the object to be.
func (f *filter) box() box {
	w, h := f[aspect].p*f[height].p, f[height].p
	x, y := f[centreX].p-w/2, f[centreY].p-h/2
	return box{x, y, x + w, y + h}
}

func squared(x float64) float64 { return x * x }
