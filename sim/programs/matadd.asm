; C = A + B, a thread an element.

.threads 8
.data 0 1 2 3 4 5 6 7           ; A, from address 0
.data 0 1 2 3 4 5 6 7           ; B, from address 8; C is written from address 16

        MUL   R0, %blockIdx, %blockDim
        ADD   R0, R0, %threadIdx    ; i, which element this thread has
        CONST R1, #0                ; where A begins
        CONST R2, #8
        CONST R3, #16
        ADD   R4, R1, R0
        LDR   R4, R4                ; A[i]
        ADD   R5, R2, R0
        LDR   R5, R5                ; B[i]
        ADD   R6, R4, R5
        ADD   R7, R3, R0
        STR   R7, R6                ; C[i]
        RET
