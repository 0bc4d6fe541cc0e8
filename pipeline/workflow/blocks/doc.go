// Package blocks has the blocks of workflows that need nothing but values and
// pictures: filters, formatters, flow control, crops. Each is one file, its
// manifest beside its code.
package blocks

import "perch/pipeline/workflow"

// All returns the manifests of this package's blocks.
func All() []*workflow.Manifest {
	return []*workflow.Manifest{
		absoluteStaticCrop(),
		boundingRect(),
		buffer(),
		cacheGet(),
		cacheSet(),
		cameraFocus(),
		continueIf(),
		convertGrayscale(),
		csvFormatter(),
		currentTime(),
		dataAggregator(),
		deltaFilter(),
		detectionEventLog(),
		detectionOffset(),
		detectionsClassesReplacement(),
		detectionsCombine(),
		detectionsConsensus(),
		detectionsFilter(),
		detectionsMerge(),
		detectionsTransformation(),
		dimensionCollapse(),
		dynamicCrop(),
		dynamicZone(),
		expression(),
		firstNonEmpty(),
		imageBlur(),
		imageSlicer(),
		motionDetection(),
		perClassConfidenceFilter(),
		perspectiveCorrection(),
		propertyDefinition(),
		rateLimiter(),
		relativeStaticCrop(),
		stringTemplate(),
		switchCase(),
	}
}

const prefix = "roboflow_core/"
