// Package rules decides, without SQL, what both databases must decide alike:
// how an order that is known already is answered, what an ack changes, how
// writes of one batch that concern one export become one write, what a cursor
// holds, and which faults there are.
package rules
