// Package blocks has the blocks of workflows that need nothing but values and
// pictures: filters, formatters, flow control, crops. Each is one file, its
// manifest beside its code.
package blocks

import "perch/pipeline/workflow"

// All returns the manifests of this package's blocks.
func All() []*workflow.Manifest {
	return []*workflow.Manifest{
		absoluteStaticCrop(),
		deltaFilter(),
		buffer(),
		cacheGet(),
		cacheSet(),
		continueIf(),
		csvFormatter(),
		currentTime(),
		dataAggregator(),
		detectionsFilter(),
		detectionsTransformation(),
		dimensionCollapse(),
		expression(),
		firstNonEmpty(),
		propertyDefinition(),
		rateLimiter(),
		stringTemplate(),
		switchCase(),
		detectionEventLog(),
		detectionOffset(),
		detectionsConsensus(),
		dynamicCrop(),
		perClassConfidenceFilter(),
		imageSlicer(),
		imageBlur(),
		detectionsMerge(),
		detectionsCombine(),
		detectionsClassesReplacement(),
		convertGrayscale(),
		cameraFocus(),
		motionDetection(),
		perspectiveCorrection(),
		boundingRect(),
		dynamicZone(),
		relativeStaticCrop(),
	}
}

const prefix = "roboflow_core/"
