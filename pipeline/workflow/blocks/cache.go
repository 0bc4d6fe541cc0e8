package blocks

import (
	"fmt"

	"perch/pipeline/workflow"
)

// The limits of the cache of one run.
const (
	maxCacheKeys  = 256
	maxCacheBytes = 256 << 20
)

func cacheSet() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "cache_set@v1", Title: "Cache Set", Group: "formatting",
		Doc: "Remembers a value under a key, for Cache Get steps of the same run. At most 256 keys and 256 MB are kept; beyond that the step fails.",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.NoPixels, Doc: "an image of the video to which the value belongs"},
			{Name: "key", Required: true, Literal: workflow.StringLiteral, Kinds: []workflow.Kind{workflow.StringKind}, Doc: "the name under which the value is found again"},
			{Name: "value", Required: true, Kinds: workflow.Anything(), Doc: "the value"},
		},
		Outputs: []workflow.Output{{Name: "output", Kinds: workflow.Anything(), Doc: "the value"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &cacheSetBlock{key: p.In("key"), value: p.In("value"), store: storeOf(p)}, nil
		},
	}
}

func cacheGet() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "cache_get@v1", Title: "Cache Get", Group: "formatting",
		Doc: "The value that a Cache Set step of the same run remembered last, on an earlier frame or before on this one; false if there is none.",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.NoPixels, Doc: "an image of the video to which the value belongs"},
			{Name: "key", Required: true, Literal: workflow.StringLiteral, Kinds: []workflow.Kind{workflow.StringKind}, Doc: "the name under which the value was remembered"},
		},
		Outputs: []workflow.Output{{Name: "output", Kinds: workflow.Anything(), Doc: "the value, or false"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &cacheGetBlock{key: p.In("key"), store: storeOf(p)}, nil
		},
	}
}

// store is what the cache steps of one run have in common.
type store struct {
	values map[string]keptValue
	bytes  int
}

func storeOf(p *workflow.Params) *store {
	return p.Shared("cache", func() any { return &store{values: map[string]keptValue{}} }).(*store)
}

type cacheSetBlock struct {
	key, value workflow.In
	store      *store
}

func (b *cacheSetBlock) Run(c *workflow.Call) error {
	key, err := c.Str(b.key)
	if err != nil {
		return err
	}
	// The old copy may be in somebody's hands on this frame: its memory is not
	// used again.
	v, n, err := keep(c.Value(b.value), workflow.Value{})
	if err != nil {
		return err
	}
	s := b.store
	old, known := s.values[key]
	switch {
	case !known && len(s.values) >= maxCacheKeys:
		return fmt.Errorf("there are %d keys in the cache, which is as many as are kept: do not make keys of what is different on each frame", len(s.values))
	case s.bytes-old.bytes+n > maxCacheBytes:
		return fmt.Errorf("the values in the cache take more than %d MB", maxCacheBytes>>20)
	}
	s.bytes += n - old.bytes
	s.values[key] = keptValue{v, n}
	c.Set(0, c.Value(b.value))
	return nil
}

type cacheGetBlock struct {
	key   workflow.In
	store *store
}

func (b *cacheGetBlock) Run(c *workflow.Call) error {
	key, err := c.Str(b.key)
	if err != nil {
		return err
	}
	v := workflow.BoolOf(false)
	if k, ok := b.store.values[key]; ok {
		v = k.v
	}
	c.Set(0, v)
	return nil
}
