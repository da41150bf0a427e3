*"---------------------------------------------------------------------
*" Finds sales documents by the reference that Orderport puts into them.
*" It reads and changes nothing. Remote-enabled.
*"
*" E_SEARCHED is X if the search was carried out: only then does an empty
*" ORDERS mean that there is no such document.
*"
*" PURCH_NO_C, PURCH_NO_S, REF_1 and REF_1_S are the header rows of VBKD,
*" ASS_NUMBER is VBAK-ZUONR. VBKD has no standard index on them: with many
*" orders, put one on the column that you use.
*"---------------------------------------------------------------------
FUNCTION z_orderport_order_find.
*"*"Local Interface:
*"  IMPORTING
*"     VALUE(I_REFERENCE) TYPE  CHAR35
*"     VALUE(I_FIELD) TYPE  CHAR30
*"  EXPORTING
*"     VALUE(E_SEARCHED) TYPE  CHAR1
*"  TABLES
*"      ORDERS STRUCTURE BAPIVBELN
  DATA lt_numbers TYPE STANDARD TABLE OF vbak-vbeln.
  DATA lv_number TYPE vbak-vbeln.

  CLEAR e_searched.
  REFRESH orders.
  IF i_reference IS INITIAL.
    RETURN.
  ENDIF.

  CASE i_field.
    WHEN 'PURCH_NO_C'.
      SELECT vbeln FROM vbkd INTO TABLE lt_numbers
        WHERE posnr = '000000' AND bstkd = i_reference.
    WHEN 'PURCH_NO_S'.
      SELECT vbeln FROM vbkd INTO TABLE lt_numbers
        WHERE posnr = '000000' AND bstkd_e = i_reference.
    WHEN 'REF_1'.
      SELECT vbeln FROM vbkd INTO TABLE lt_numbers
        WHERE posnr = '000000' AND ihrez = i_reference.
    WHEN 'REF_1_S'.
      SELECT vbeln FROM vbkd INTO TABLE lt_numbers
        WHERE posnr = '000000' AND ihrez_e = i_reference.
    WHEN 'ASS_NUMBER'.
      SELECT vbeln FROM vbak INTO TABLE lt_numbers
        WHERE zuonr = i_reference.
    WHEN OTHERS.
      RETURN.
  ENDCASE.

  LOOP AT lt_numbers INTO lv_number.
    CLEAR orders.
    orders-vbeln = lv_number.
    APPEND orders.
  ENDLOOP.
  e_searched = 'X'.
ENDFUNCTION.
