// Package models holds the model that comes with Perch.
package models

import "embed"

// Default is the id of the model that is used where none is chosen.
const Default = "nanodet-416"

// Files has a folder for each built-in model; see model.Store.
//
//go:embed nanodet-416/*
var Files embed.FS
