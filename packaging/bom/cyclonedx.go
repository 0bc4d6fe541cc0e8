package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
)

type component struct {
	Type     string    `json:"type"`
	Ref      string    `json:"bom-ref"`
	Name     string    `json:"name"`
	Version  string    `json:"version,omitempty"`
	Hashes   []hash    `json:"hashes,omitempty"`
	Licences []licence `json:"licenses,omitempty"`
	PURL     string    `json:"purl,omitempty"`
	Links    []link    `json:"externalReferences,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type licence struct {
	Expression string `json:"expression"`
}

type link struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// cycloneDX writes the bill of materials, https://cyclonedx.org/docs/1.5/json/.
// It has neither a time nor a random serial number: the same package has the
// same bill.
func cycloneDX(version, arch string, parts []part) ([]byte, error) {
	self := component{Type: "application", Ref: "perch", Name: "perch", Version: version,
		PURL: fmt.Sprintf("pkg:deb/perch@%s?arch=%s", strings.ReplaceAll(version, "+", "%2B"), arch), Licences: []licence{{"Apache-2.0"}}}
	list, on := []component{}, []string{}
	for _, p := range parts {
		c := component{Type: p.Kind, Ref: p.Name + "@" + p.Version, Name: p.Name, Version: p.Version, PURL: p.PURL, Licences: []licence{{p.Licence}}}
		if p.SHA256 != "" {
			c.Hashes = []hash{{"SHA-256", p.SHA256}}
		}
		if p.Source != "" {
			c.Links = []link{{"website", p.Source}}
		}
		list, on = append(list, c), append(on, c.Ref)
	}
	body := struct {
		Format       string         `json:"bomFormat"`
		Spec         string         `json:"specVersion"`
		Serial       string         `json:"serialNumber"`
		Version      int            `json:"version"`
		Metadata     map[string]any `json:"metadata"`
		Components   []component    `json:"components"`
		Dependencies []dependency   `json:"dependencies"`
	}{"CycloneDX", "1.5", "", 1, map[string]any{"component": self}, list, []dependency{{"perch", on}}}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8 of RFC 9562: made from the content
	body.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	b, err = json.MarshalIndent(body, "", "  ")
	return append(b, '\n'), err
}
