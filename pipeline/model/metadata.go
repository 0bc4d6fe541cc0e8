package model

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// classNames reads Ultralytics' names: a Python dictionary such as
// {0: 'person', 1: "driver's seat"}, whose keys count from 0. An empty text has
// no names.
func classNames(s string) ([]string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, nil
	}
	body, ok := strings.CutPrefix(s, "{")
	body, ok2 := strings.CutSuffix(body, "}")
	if !ok || !ok2 {
		return nil, errors.New("not a dictionary in braces")
	}
	var names []string
	for body = strings.TrimSpace(body); body != ""; {
		key, rest, ok := strings.Cut(body, ":")
		if n, err := strconv.Atoi(strings.TrimSpace(key)); !ok || err != nil || n != len(names) {
			return nil, fmt.Errorf("class %d is missing", len(names))
		}
		name, rest, err := quoted(strings.TrimSpace(rest))
		if err != nil {
			return nil, fmt.Errorf("class %d: %w", len(names), err)
		}
		if len(names) == maxClasses || len(name) > maxText || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("class %d: the name is empty or too long, or there are too many", len(names))
		}
		names = append(names, name)
		body = strings.TrimSpace(rest)
		if body == "" {
			break
		}
		if body, ok = strings.CutPrefix(body, ","); !ok {
			return nil, fmt.Errorf("class %d: no comma follows", len(names)-1)
		}
		body = strings.TrimSpace(body)
	}
	return names, nil
}

// quoted reads a Python string literal from the beginning of s.
func quoted(s string) (text, rest string, err error) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return "", "", errors.New("a quoted name is missing")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`\'"`, s[i+1]) >= 0:
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New("the closing quote is missing")
}

// intList reads a list of numbers such as [640, 640]; nil if it is none.
func intList(s string) []int {
	s, ok := strings.CutPrefix(strings.TrimSpace(s), "[")
	s, ok2 := strings.CutSuffix(s, "]")
	if !ok || !ok2 {
		return nil
	}
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 || n > 1<<20 {
			return nil
		}
		list = append(list, n)
	}
	return list
}
