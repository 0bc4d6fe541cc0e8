package model

import "strings"

// coco80 are the classes of COCO 2017 in the order that detectors number them.
func coco80() []string {
	return strings.Split("person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"+
		"parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,"+
		"frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,"+
		"wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,"+
		"couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"+
		"refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush", ",")
}

// coco91 are the same by COCO's own category numbers, which begin at 1 and have
// gaps.
func coco91() []string {
	names := make([]string, 91)
	gaps := map[int]bool{0: true, 12: true, 26: true, 29: true, 30: true, 45: true, 66: true, 68: true, 69: true, 71: true, 83: true}
	rest := coco80()
	for i := range names {
		if gaps[i] {
			names[i] = "unused"
			continue
		}
		names[i], rest = rest[0], rest[1:]
	}
	return names
}
