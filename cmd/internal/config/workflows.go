package config

import (
	"math"
	"net/mail"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// Workflows are what the graphs of cameras and sessions may use.
type Workflows struct {
	Dir        Path   `yaml:"dir" doc:"Folder of workflow files, <name>.json. Empty: data_dir/workflows."`
	AllowWrite []Path `yaml:"allow_write" doc:"Folders below which a workflow's file sink may write. Empty: data_dir/workflow-files."`
	Models     Names  `yaml:"models" doc:"Which model of this device stands for a model id in a workflow, for example {yolov8n-640: nanodet-416}."`
}

// SMTP is the server that mail of workflows goes through.
type SMTP struct {
	Host         string `yaml:"host" doc:"The mail server. Empty: no mail is sent, and a workflow that sends some is refused."`
	Port         int    `yaml:"port" default:"587" min:"1" max:"65535" doc:"Its port. 465 is encrypted from the first byte, whatever starttls says."`
	Username     string `yaml:"username" own:"is a login" doc:"Who to be at the mail server. Empty: no login."`
	Password     Secret `yaml:"password" doc:"Its password. Never shown; better in a file of its own."`
	PasswordFile Path   `yaml:"password_file" own:"leads to a password" doc:"A file whose first line is the password."`
	From         string `yaml:"from" doc:"The sender's address, for example perch@example.org."`
	StartTLS     bool   `yaml:"starttls" default:"true" doc:"Encrypt before anything is said (STARTTLS). false sends mail and password in the clear."`

	FromFile Secret `yaml:"-" json:"-"` // what PasswordFile holds; filled in by Load
}

// Credentials returns who to be at the mail server.
func (s SMTP) Credentials() (username string, password Secret) {
	return s.Username, s.Password + s.FromFile // validate allows only one of them
}

// WorkflowDir is the folder of workflow files.
func (c *Config) WorkflowDir() string {
	if c.Workflows.Dir != "" {
		return string(c.Workflows.Dir)
	}
	return filepath.Join(string(c.DataDir), "workflows")
}

// WriteFolderName is the folder in data_dir where workflows may write when
// nothing else is said.
const WriteFolderName = "workflow-files"

// WriteFolders are the folders below which workflows may write.
func (c *Config) WriteFolders() []string {
	if len(c.Workflows.AllowWrite) == 0 {
		return []string{filepath.Join(string(c.DataDir), WriteFolderName)}
	}
	var folders []string
	for _, p := range c.Workflows.AllowWrite {
		folders = append(folders, string(p))
	}
	return folders
}

// WorkflowFile is the file that a camera's key workflow names: a path, or a
// name in [Config.WorkflowDir].
func (c *Config) WorkflowFile(workflow string) string {
	if isWorkflowPath(workflow) {
		return workflow
	}
	return filepath.Join(c.WorkflowDir(), workflow+".json")
}

func isWorkflowPath(s string) bool { return strings.Contains(s, "/") || strings.HasSuffix(s, ".json") }

func (c *Config) checkWorkflows(r *report) {
	for i, p := range c.Workflows.AllowWrite {
		at := "workflows.allow_write[" + strconv.Itoa(i) + "]"
		switch {
		case p == "":
			r.bad(at, "is empty; name a folder, or remove it")
		case filepath.Clean(string(p)) == "/":
			r.bad(at, "is the whole machine; name a folder")
		}
	}
	for id, model := range c.Workflows.Models {
		at := "workflows.models." + id
		checkText(r, at, id, 256)
		if id == "" {
			r.bad(at, "has no id before the colon")
		}
		if !isModel(model) {
			r.bad(at, "%s is not the name of a model; perch model list shows them", shown(model))
		}
	}
}

func (c *Config) checkSMTP(r *report) {
	s := c.SMTP
	checkLogin(r, "smtp", s.Username, s.Password, s.PasswordFile)
	if s.Host == "" {
		is, usual := structFields(reflect.ValueOf(s)), structFields(reflect.ValueOf(Defaults().SMTP))
		for _, key := range sortedNames(is) {
			if !is[key].Equal(usual[key]) {
				r.bad("smtp."+key, "has no effect, because smtp.host is empty")
			}
		}
		return
	}
	if strings.ContainsAny(s.Host, "/@: ") {
		r.bad("smtp.host", "%s is not the name or address of a host; the port goes into smtp.port", shown(redact(s.Host)))
	}
	switch a, err := mail.ParseAddress(s.From); {
	case s.From == "":
		r.bad("smtp.from", "is missing; mail needs a sender, for example perch@example.org")
	case err != nil || a.Address != s.From:
		r.bad("smtp.from", "%s is not an address; write for example perch@example.org", shown(s.From))
	}
}

// checkWorkflow checks what a camera says of its workflow, or instead of one.
func (cam *Camera) checkWorkflow(r *report, at string) {
	checkText(r, at+".workflow", cam.Workflow, 1024)
	if cam.Workflow != "" && !isWorkflowPath(cam.Workflow) && !matches(`[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, cam.Workflow) {
		r.bad(at+".workflow", "%s is neither a workflow's name nor the path of a JSON file", shown(cam.Workflow))
	}
	if cam.Workflow == "" && len(cam.WorkflowParameters) > 0 {
		r.bad(at+".workflow_parameters", "has no effect, because workflow is not set")
	}
	for _, name := range sortedNames(cam.WorkflowParameters) {
		if cam.WorkflowParameters[name] == hidden {
			r.bad(at+".workflow_parameters."+name, "%v", errHidden)
		}
	}
	if cam.Workflow != "" {
		is, usual := structFields(reflect.ValueOf(cam).Elem()), structFields(reflect.ValueOf(newCamera()).Elem())
		for _, key := range []string{"model", "confidence", "iou", "classes", "track", "zones", "lines"} {
			if !reflect.DeepEqual(is[key].Interface(), usual[key].Interface()) {
				r.bad(at+"."+key, "has no effect, because workflow is set and says what is done with the pictures")
			}
		}
	}
	if len(cam.Zones) > maxShapes || len(cam.Lines) > maxShapes {
		r.bad(at+".zones", "at most %d zones and %d lines may be drawn on a camera", maxShapes, maxShapes)
		return
	}
	for _, name := range sortedNames(cam.Zones) {
		zone, where := cam.Zones[name], at+".zones."+name
		checkShapeName(r, where, name)
		if len(zone) < 3 || len(zone) > maxCorners {
			r.bad(where, "has %d corners; a zone has 3 to %d, each [x, y] in pixels", len(zone), maxCorners)
		}
		checkPoints(r, where, zone)
	}
	for _, name := range sortedNames(cam.Lines) {
		line, where := cam.Lines[name], at+".lines."+name
		checkShapeName(r, where, name)
		checkPoints(r, where, line[:])
		if line[0] == line[1] {
			r.bad(where, "begins where it ends; write two points, each [x, y] in pixels")
		}
	}
}

func checkShapeName(r *report, at, name string) {
	if !matches(`[A-Za-z0-9_-]{1,64}`, name) {
		r.bad(at, "%s stands in topics and workflows; use 1 to 64 letters, digits, - and _", shown(name))
	}
}

func checkPoints(r *report, at string, points []XY) {
	for i, p := range points {
		if math.Min(p[0], p[1]) < 0 || math.Max(p[0], p[1]) > maxCoordinate {
			r.bad(at+"["+strconv.Itoa(i)+"]", "lies outside of every picture; coordinates are pixels from the upper left corner, at most %d", maxCoordinate)
		}
	}
}
