package draw

// colourMap is a row of colours, six hexadecimal digits each.
type colourMap struct {
	name   string
	smooth bool // colours in between are interpolated; else each stands for itself
	hex    string
}

func (m colourMap) len() int { return len(m.hex) / 6 }

func (m colourMap) at(i int) Colour {
	c, _ := parseHex(m.hex[6*i : 6*i+6]) // a test reads every one
	return c
}

func (m colourMap) all() []Colour {
	out := make([]Colour, m.len())
	for i := range out {
		out[i] = m.at(i)
	}
	return out
}

// sample returns colour k of n taken over the whole map.
func (m colourMap) sample(k, n int) Colour {
	if !m.smooth {
		// matplotlib's ListedColormap.resampled: k/(n-1) of the way, in equal steps.
		return m.at(min(k*m.len()/max(n-1, 1), m.len()-1))
	}
	at := float64(k) / float64(max(n-1, 1)) * float64(m.len()-1)
	i := min(int(at), m.len()-2)
	a, b, t := m.at(i), m.at(i+1), at-float64(i)
	between := func(x, y uint8) uint8 { return uint8(float64(x) + (float64(y)-float64(x))*t) }
	return Colour{between(a.R, b.R), between(a.G, b.G), between(a.B, b.B)}
}

// fixedPalettes are those of Roboflow's supervision library (MIT).
var fixedPalettes = [...]colourMap{
	{name: "default", hex: "a351fbff4040ffa1a0ff7633ffb633d1d4354cfb1294cf1a40de8a1b964000d6c12e9caa00c4ff3647976675ff0019ef863aff530087cd3affff97caff39c9"},
	{name: "roboflow", hex: "c28dfca351fb8315f96706ce5905b34d049a"},
	{name: "legacy", hex: "a351fbe6194b3cb44bffe1190082c8f58231911eb446f0f0f032e6d2f53cfabebe008080e6beffaa6e28fffac8800000aaffc3"},
}

// colourMaps are matplotlib's. The smooth ones (viridis and its family by van
// der Walt, Smith and Firing, CC0; cividis by Nunez, Anderton and Renslow;
// twilight by Bechtold, CC0; turbo by Mikhailov, Apache 2.0) hold 33 of their
// stops, equally far apart. The others are ColorBrewer's (Apache 2.0) and
// Tableau's.
var colourMaps = [...]colourMap{
	{name: "viridis", smooth: true, hex: "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e21918c1f988b1fa08822a78528ae8032b67a3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725"},
	{name: "plasma", smooth: true, hex: "0d08872206903105973f049c4c02a15901a56600a77201a87e03a88a09a59511a1a01a9caa2395b32c8ebc3587c43e7fcc4778d35171da5a6ae06363e66c5ceb7655f0804ef58b47f89540fba139fdac33feb82cfdc527fcd225f8df25f4ed27f0f921"},
	{name: "inferno", smooth: true, hex: "0000040403120b0724150b37210c4a2f0a5b3d09654a0c6b57106e64156e71196e7d1e6d8a226a972766a32c61b0315bbc3754c73e4cd24644db503be45a31eb6628f1731df68013f98e09fb9d07fcac11fbbc21f9cb35f5db4cf2ea69f3f68afcffa4"},
	{name: "magma", smooth: true, hex: "0000040303120a0822130d341d114729115a36106b440f7651127c5d177f6a1c81762181832681902a819c2e7faa337db73779c43c75d0416fdc4869e75263ef5d5ef56b5cf9795dfc8961fd9869fea772feb67cfec488fed395fde2a3fcf0b2fcfdbf"},
	{name: "cividis", smooth: true, hex: "00224e00285b002e6a0533711a386f273e6e32436d3b496c434e6c4b546c535a6d5a5f6e61656f686a716f70737676767d7c788482798c8878938e789b9476a39a74aba072b4a76fbcae6cc4b468cdbb63d5c25edec958e7d150f0d846f9e03afee838"},
	{name: "twilight", smooth: true, hex: "e2d9e2d6d7ddc2ced4aac2cc93b4c680a5c37196c16786be6275ba5f62b45e4fac5d3ca059298e511a7544135a3711443014373b113b4d144361184b761f4f8a29509a3750a84750b35953bc6b59c37f64c89275cda68cd2b8a7d9c9c2dfd5d8e2d9e2"},
	{name: "turbo", smooth: true, hex: "30123b392a734040a24456c7466be34680f64294ff37a8fa28bceb1ccdd818ddc21fe9af32f2984ef97d6dfe628bff4ba4fc3cb9f635cdec34dfdf37eecf3af8be39fdac34fe962bfb7e21f46617eb500edf3f08d02f05be2102a91601920b017a0403"},
	{name: "pastel1", hex: "fbb4aeb3cde3ccebc5decbe4fed9a6ffffcce5d8bdfddaecf2f2f2"},
	{name: "pastel2", hex: "b3e2cdfdcdaccbd5e8f4cae4e6f5c9fff2aef1e2cccccccc"},
	{name: "paired", hex: "a6cee31f78b4b2df8a33a02cfb9a99e31a1cfdbf6fff7f00cab2d66a3d9affff99b15928"},
	{name: "accent", hex: "7fc97fbeaed4fdc086ffff99386cb0f0027fbf5b16666666"},
	{name: "dark2", hex: "1b9e77d95f027570b3e7298a66a61ee6ab02a6761d666666"},
	{name: "set1", hex: "e41a1c377eb84daf4a984ea3ff7f00ffff33a65628f781bf999999"},
	{name: "set2", hex: "66c2a5fc8d628da0cbe78ac3a6d854ffd92fe5c494b3b3b3"},
	{name: "set3", hex: "8dd3c7ffffb3bebadafb807280b1d3fdb462b3de69fccde5d9d9d9bc80bdccebc5ffed6f"},
	{name: "tab10", hex: "1f77b4ff7f0e2ca02cd627289467bd8c564be377c27f7f7fbcbd2217becf"},
	{name: "tab20", hex: "1f77b4aec7e8ff7f0effbb782ca02c98df8ad62728ff98969467bdc5b0d58c564bc49c94e377c2f7b6d27f7f7fc7c7c7bcbd22dbdb8d17becf9edae5"},
	{name: "tab20b", hex: "393b795254a36b6ecf9c9ede6379398ca252b5cf6bcedb9c8c6d31bd9e39e7ba52e7cb94843c39ad494ad6616be7969c7b4173a55194ce6dbdde9ed6"},
	{name: "tab20c", hex: "3182bd6baed69ecae1c6dbefe6550dfd8d3cfdae6bfdd0a231a35474c476a1d99bc7e9c0756bb19e9ac8bcbddcdadaeb636363969696bdbdbdd9d9d9"},
}
