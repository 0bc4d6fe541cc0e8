package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	for text, want := range map[string]string{
		"                   GNU LESSER GENERAL PUBLIC LICENSE\n                       Version 2.1, February 1999": "LGPL-2.1-only",
		"GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007":                                             "LGPL-3.0-only",
		"MIT License\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy":            "MIT",
		"Redistribution and use in source and binary forms, ... Neither the name of Google":                       "BSD-3-Clause",
		"Redistribution and use in source and\nbinary forms, with or without":                                     "BSD-2-Clause",
		"Apache License\n   Version 2.0, January 2004":                                                            "Apache-2.0",
		"GNU GENERAL PUBLIC LICENSE Version 3":                                                                    "",
		"All rights reserved.":                                                                                    "",
	} {
		if got := identify(text); got != want {
			t.Errorf("identify(%.40q) = %q, want %q", text, got, want)
		}
	}
}

func TestCopyrightLines(t *testing.T) {
	text := "The MIT License\n\nCopyright (c) 2014 A. Person\n  Copyright 2016-2019 Someone\nCopyright [yyyy] [name]\ncopyright notice that is\n"
	got := strings.Join(copyrightLines(text), "|")
	if want := "Copyright (c) 2014 A. Person|Copyright 2016-2019 Someone"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}

// The test's own program stands for Perch: the whole way, with real modules.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	source := filepath.Join(dir, "main.go")
	write(t, source, "package main\n\nimport _ \"github.com/spf13/cobra\"\n\nfunc main() {}\n")
	build := exec.Command("go", "build", "-o", program, source)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	write(t, filepath.Join(dir, "LICENCE.txt"), "Copyright 2020 Maker\n\nPermission is hereby granted, free of charge, to any person obtaining a copy")
	extras := filepath.Join(dir, "extras.json")
	write(t, extras, `[
		{"name": "thing", "version": "3", "kind": "file", "files": "usr/lib/thing", "texts": ["LICENCE.txt"], "sha256": "00ff"},
		{"name": "other", "version": "4", "kind": "file", "arch": "arm64", "texts": ["LICENCE.txt"]}]`)
	args := func(copyright, sbom string) []string {
		return []string{"-program", program, "-arch", "amd64", "-version", "1.0+x", "-extras", extras,
			"-copyright", filepath.Join(dir, copyright), "-sbom", filepath.Join(dir, sbom)}
	}
	for _, n := range []string{"1", "2"} {
		if err := run(args("copyright"+n, "sbom"+n), os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
	copyright := read(t, filepath.Join(dir, "copyright1"))
	for _, want := range []string{"Comment: github.com/spf13/cobra v1.", "Comment: github.com/spf13/pflag v1.", "Copyright: Copyright 2020 Maker",
		"Files: usr/lib/thing\n", "Comment: Go standard library 1.", "License: Apache-2.0-part-"} {
		if !strings.Contains(copyright, want) {
			t.Errorf("the copyright file lacks %q", want)
		}
	}
	// A field goes on only in lines that begin with a blank.
	if bad := regexp.MustCompile(`(?m)^[^ A-Z\n].*$`).FindString(copyright); bad != "" {
		t.Errorf("the copyright file has a line that belongs to no field: %q", bad)
	}
	var bill struct {
		BomFormat, SpecVersion, SerialNumber string
		Components                           []component
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "sbom1"))), &bill); err != nil {
		t.Fatal(err)
	}
	names := map[string]component{}
	for _, c := range bill.Components {
		names[c.Name] = c
	}
	if c := names["thing"]; c.Version != "3" || len(c.Hashes) != 1 || c.Licences[0].Expression != "MIT" {
		t.Errorf("thing is %+v", c)
	}
	if c := names["github.com/spf13/cobra"]; !strings.HasPrefix(c.PURL, "pkg:golang/github.com/spf13/cobra@v1.") {
		t.Errorf("cobra is %+v", c)
	}
	if _, ok := names["other"]; ok || len(names) != len(bill.Components) {
		t.Errorf("a part of another architecture, or one part twice: %v", names)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(bill.SerialNumber) {
		t.Errorf("serial number %q", bill.SerialNumber)
	}
	if strings.Contains(copyright, "TERMS AND CONDITIONS FOR USE, REPRODUCTION") || !strings.Contains(copyright, " Apache License, Version 2.0: see /usr/share/common-licenses/Apache-2.0.\n") {
		t.Error("the Apache License is repeated instead of named")
	}
	if copyright != read(t, filepath.Join(dir, "copyright2")) || read(t, filepath.Join(dir, "sbom1")) != read(t, filepath.Join(dir, "sbom2")) {
		t.Error("two runs differ")
	}
}

// What nobody has read does not go out silently.
func TestUnknownLicenceFails(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "T"), "You may look at this on Sundays.")
	write(t, filepath.Join(dir, "extras.json"), `[{"name": "odd", "texts": ["T"]}]`)
	if _, err := readExtras(filepath.Join(dir, "extras.json"), "amd64"); err == nil || !strings.Contains(err.Error(), "odd has a licence that is not known") {
		t.Errorf("error %v", err)
	}
	write(t, filepath.Join(dir, "extras.json"), `[{"name": "bare"}]`)
	if _, err := readExtras(filepath.Join(dir, "extras.json"), "amd64"); err == nil || !strings.Contains(err.Error(), "bare has no licence file") {
		t.Errorf("error %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
