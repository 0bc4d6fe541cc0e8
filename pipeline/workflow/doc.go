// Package workflow turns a specification, the JSON that Roboflow's editor
// writes, into a graph that runs on each frame.
//
// A specification is compiled in two steps. [Compile] checks the document
// against a [Library] of blocks and finds everything that is wrong with it at
// once; [Graph.Bind] gives its parameters their values and makes the blocks of
// one run. The result is a [pipeline.Engine]. All names are resolved by then:
// on a frame a step reads and writes numbered columns.
//
// Words: a port is one output of a step. A port has a value per frame, or,
// below a step that adds a dimension (crops), a value per element. A step runs
// once per element of the deepest of its inputs; shallower inputs are the same
// for each. A step runs only if no flow control has ended its branch and none
// of its inputs from other steps is null (unless its block accepts that);
// otherwise its outputs are null, and so is a list that it would have made.
//
// Everything is bounded: how much a document may hold, how much is said of what
// is wrong with it, and how many crops and bytes are made of one frame.
//
// Blocks live in package blocks below, and, where they join another package to
// the language (models, tracking, drawing, sinks), with the program.
package workflow
