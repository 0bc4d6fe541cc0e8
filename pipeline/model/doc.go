// Package model knows what a network's numbers mean: how a picture becomes its
// input, and what its outputs say is in the picture. It runs no network and
// knows no runtime; it is plain arithmetic on slices.
//
// A model is a folder with model.onnx and model.yaml, the [Manifest]; README.md
// lists every key. [Inspect] works a manifest out from a graph, [Store] keeps
// folders, [Open] makes a [Model], of which each run takes a [Preprocessor] and a
// [Decoder].
//
// # Sampling
//
// A [Preprocessor] samples 4:2:0 pictures directly into the input; there is no
// picture of another size or colour space in between. Everything below is exact,
// so that a few lines in any language compute the same numbers, but for the
// rounding of colours (step 4), which may differ by a quarter of a level.
//
// Notation: the picture is W x H pixels, the input w x h, round is to nearest,
// half up. Sample k of a plane covers [k, k+1); its centre is k + 1/2.
//
//  1. Place. Stretch: the picture fills the input, cw = w, ch = h, left = top = 0.
//     Letterbox: r = min(w/W, h/H), cw = round(W*r), ch = round(H*r), both at
//     least 1; top-left: left = top = 0; centre: left = floor((w-cw)/2), top =
//     floor((h-ch)/2). Elements outside get the pad value as v in step 5.
//
//  2. Luma. Let f = max(1, round(W/cw / 2)), at most W and 256, and g alike for H/ch.
//     A node is the mean of f x g samples of Y: node (i, j) covers columns f*i to
//     f*i+f-1 and rows g*j to g*j+g-1; there are floor(W/f) x floor(H/g) nodes.
//     So below a reduction by 3 a node is a sample, and from there on no more than
//     one column or row in W/cw is left out. Output (x, y) of the cw x ch is
//     sampled bilinearly at node coordinates X = (x+1/2) * W/cw / f - 1/2, clamped
//     to [0, floor(W/f)-1], and Y alike. Rows come first: the two node rows are
//     mixed with the weight of the second rounded to a multiple of
//     1/(256/(f*g)) (of 1/256 where f or g is above 2), then two nodes of the mixed
//     row with the weight of the second rounded to a multiple of 1/256.
//
//  3. Chroma. U and V are sampled in the same way without reduction (f = g = 1)
//     at their own positions: sample k lies, in luma coordinates where a pixel's
//     centre is k + 1/2, at 2k + 1 vertically and at 2k + 1/2 (limited range, as
//     MPEG-2, H.264 and H.265 do) or 2k + 1 (full range, as JPEG does)
//     horizontally. So X = ((x+1/2) * W/cw + 1/2) / 2 - 1/2 or
//     (x+1/2) * W/cw / 2 - 1/2. Where 2*cw <= W and 2*ch <= H, outputs share one
//     sample of chroma in blocks of 2 x 2, counted from the picture's corner: x+1/2
//     is then 2*floor(x/2) + 1, and y alike.
//
//  4. Colour. Y, U and V are rounded to quarters. R, G and B follow ITU-R BT.601 or
//     BT.709, limited or full range, as the picture says (see newColourTables for
//     the formulas), are rounded to quarters and clamped to 0..255. Grey is luma,
//     stretched from 16..235 to 0..255 for limited range.
//
//  5. Normalise. element = (v*scale - mean) / std. For integer inputs it is rounded
//     and clamped to what the type holds.
//
// # Decoding
//
// A [Decoder] keeps the best class of each candidate (DETR-like heads: each pair
// of query and class) whose score is at least the confidence, drops the classes
// that were not asked for, suppresses what overlaps a better candidate of its
// class by more than IoU (greedily, best first; equal scores in the order of the
// outputs), and maps boxes to the frame, clamped. What is not a finite number is
// left out and counted.
//
// # Masks
//
// A mask covers the pixels of the frame that its box touches: columns floor(X0)
// to ceil(X1)-1, rows alike. Pixel (x, y) has its centre at (x+1/2, y+1/2); the
// transform takes that to the input and, times plane/input, to (u, v) on a plane
// of logits, whose value (i, j) lies at (i+1/2, j+1/2). Accurate: the logits
// are interpolated bilinearly at (u, v), those at the edge reaching outwards, and
// the pixel is set where that is above 0. Fast: where the value at (floor(u),
// floor(v)) is. With prototypes, the plane is the sum of the prototypes, each
// times the candidate's coefficient.
package model
