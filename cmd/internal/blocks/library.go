// Package blocks puts the blocks of workflows together: those of the language
// itself and those that join another package to it.
package blocks

import (
	modelblocks "perch/cmd/internal/blocks/models"
	"perch/cmd/internal/blocks/sinks"
	"perch/cmd/internal/blocks/tracking"
	"perch/cmd/internal/blocks/visual"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
)

// Options are what the blocks need of the program.
type Options struct {
	Models modelblocks.Models
	Sinks  sinks.Options
}

// Library returns all blocks.
func Library(o Options) *workflow.Library {
	return workflow.NewLibrary(blocks.All(), modelblocks.All(o.Models), tracking.All(), visual.All(), sinks.Manifests(o.Sinks))
}
