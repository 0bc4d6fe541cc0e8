// Package models has the blocks of workflows that run a model of this device.
package models

import (
	"perch/cmd/internal/models"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
)

// Models are where blocks find their models.
type Models interface {
	// Manifest describes a model without loading it.
	Manifest(name string) (model.Manifest, error)
	// Ready returns a model that can run.
	Ready(name string) (*models.Loaded, error)
}

// All returns the manifests of this package's blocks.
func All(m Models) []*workflow.Manifest {
	var all []*workflow.Manifest
	for version := 1; version <= 3; version++ {
		all = append(all, objectDetection(m, version), instanceSegmentation(m, version), keypointDetection(m, version),
			classification(m, version), multiLabel(m, version))
	}
	return all
}
