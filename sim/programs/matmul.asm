; C = A B for 2 × 2 matrices, a thread an element. A branch on n asks for "not equal": k counts up to N.

.threads 4
.data 1 2 3 4                   ; A, row by row, from address 0
.data 1 2 3 4                   ; B, from address 4; C is written from address 8

        MUL   R0, %blockIdx, %blockDim
        ADD   R0, R0, %threadIdx    ; i
        CONST R1, #1
        CONST R2, #2                ; N
        CONST R3, #0                ; where A begins
        CONST R4, #4
        CONST R5, #8
        DIV   R6, R0, R2            ; row = i / N
        MUL   R7, R6, R2
        SUB   R7, R0, R7            ; column = i − row · N
        CONST R8, #0                ; the sum
        CONST R9, #0                ; k
LOOP:   MUL   R10, R6, R2
        ADD   R10, R10, R9
        ADD   R10, R10, R3
        LDR   R10, R10              ; A[row, k]
        MUL   R11, R9, R2
        ADD   R11, R11, R7
        ADD   R11, R11, R4
        LDR   R11, R11              ; B[k, column]
        MUL   R12, R10, R11
        ADD   R8, R8, R12
        ADD   R9, R9, R1
        CMP   R9, R2
        BRn   LOOP
        ADD   R9, R5, R0
        STR   R9, R8
        RET
