// Package schemas holds the JSON Schemas (2020-12) of what Perch publishes.
package schemas

import "embed"

// FS has one file for each kind of message: run.complete.v1.json,
// event.v1.json, status.v1.json, camera.state.v1.json and model.state.v1.json.
//
//go:embed *.json
var FS embed.FS
