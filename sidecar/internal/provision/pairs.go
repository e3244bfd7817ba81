package provision

import "slices"

// pairs are the changes of two parameters: each value of the smaller with the
// nearest of the other. Two integers are tried only when nothing else does:
// that is the long way, and few people would rather count days than turn off a
// switch.
func (a *adviser) pairs(free []Parameter) []Alternative {
	found := a.pairsOf(free, false)
	if len(found) == 0 {
		found = a.pairsOf(free, true)
	}
	return found
}

func (a *adviser) pairsOf(free []Parameter, integers bool) []Alternative {
	var found []Alternative
	for i, first := range free {
		for _, second := range free[i+1:] {
			step, search := first, second
			if size(step) > size(search) {
				step, search = search, step
			}
			switch {
			case integers != (step.Type == "integer"):
			case integers:
				found = append(found, a.integerPair(step, search)...)
			default:
				for _, value := range optionValues(step) {
					found = append(found, a.nearestWith(step, search, value)...)
				}
			}
		}
	}
	return found
}

// nearestWith is the nearest change of search once step has a value.
func (a *adviser) nearestWith(step, search Parameter, value any) []Alternative {
	base := with(a.ask.Parameters, step.Name, value)
	return a.nearest(base, search, a.allowed(base, search, coarseCells))
}

// integerPair walks away from what step is now, both ways, until some value of
// search would do, and then back to the first that does.
func (a *adviser) integerPair(step, search Parameter) []Alternative {
	now, known := a.ask.Parameters[step.Name].(int64)
	if !known {
		now = *step.Min
	}
	points := grid(a.ask.Parameters, step, fineCells)
	at, _ := slices.BinarySearch(points, now)
	var found []Alternative
	try := func(n int64) []Alternative { return a.nearestWith(step, search, n) }
	for _, side := range [][]int64{points[min(at+1, len(points)):], reversed(points[:at])} {
		failed := now
		for _, n := range side {
			if len(try(n)) == 0 {
				failed = n
				continue
			}
			found = append(found, try(towards(failed, n, func(n int64) bool { return len(try(n)) > 0 }))...)
			break
		}
	}
	return found
}

// towards is the value nearest to failed that does, when found does.
func towards(failed, found int64, does func(int64) bool) int64 {
	if failed < found {
		return bisect(failed, found, does)
	}
	return -bisect(-failed, -found, func(n int64) bool { return does(-n) })
}

func reversed(values []int64) []int64 {
	values = slices.Clone(values)
	slices.Reverse(values)
	return values
}

// size is how many values a parameter has.
func size(p Parameter) int64 {
	if p.Type == "integer" {
		return *p.Max - *p.Min + 1
	}
	return int64(len(optionValues(p)))
}
