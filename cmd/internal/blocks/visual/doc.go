// Package visual has the blocks of workflows that draw on images. Each is one
// file, its manifest beside its code.
//
// They draw in place when nothing else sees the image, and on a copy
// otherwise ([workflow.Call.Canvas]). Sizes are pixels of the image.
package visual

import "perch/pipeline/workflow"

// All returns the manifests of this package's blocks.
func All() []*workflow.Manifest {
	return []*workflow.Manifest{
		backgroundColour(), blur(), boundingBox(), circle(), classificationLabel(), colour(), corner(), crop(), dot(), ellipse(), halo(), heatmap(),
		keypoint(), label(), lineCounter(), mask(), pixelate(), polygon(), polygonZone(), textDisplay(), trace(), triangle(),
	}
}

const prefix = "roboflow_core/"
