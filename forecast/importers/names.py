"""State numbers, codes and names: what joins data sets that have only one of them.

Numbers follow Gleditsch and Ward (1999), and the Correlates of War where that list has no number.
After the number stand the three-letter code and the name; alternative names are divided by a bar.
"""

from __future__ import annotations

_STATES = """
2 USA United States|United States of America; 20 CAN Canada; 31 BHS Bahamas; 40 CUB Cuba; 41 HTI Haiti; 42 DOM
Dominican Republic; 51 JAM Jamaica; 52 TTO Trinidad and Tobago; 53 BRB Barbados; 54 DMA Dominica; 55 GRD Grenada; 56
LCA Saint Lucia; 57 VCT Saint Vincent and the Grenadines; 58 ATG Antigua and Barbuda; 60 KNA Saint Kitts and Nevis; 70
MEX Mexico; 80 BLZ Belize; 90 GTM Guatemala; 91 HND Honduras; 92 SLV El Salvador; 93 NIC Nicaragua; 94 CRI Costa Rica;
95 PAN Panama; 100 COL Colombia; 101 VEN Venezuela; 110 GUY Guyana; 115 SUR Suriname; 130 ECU Ecuador; 135 PER Peru;
140 BRA Brazil; 145 BOL Bolivia; 150 PRY Paraguay; 155 CHL Chile; 160 ARG Argentina; 165 URY Uruguay; 200 GBR United
Kingdom|Northern Ireland; 205 IRL Ireland; 210 NLD Netherlands; 211 BEL Belgium; 212 LUX Luxembourg; 220 FRA France;
221 MCO Monaco; 223 LIE Liechtenstein; 225 CHE Switzerland; 230 ESP Spain; 232 AND Andorra; 235 PRT Portugal; 255 DEU
Germany; 260 DEU German Federal Republic|West Germany|Federal Republic of Germany; 265 DDR German Democratic
Republic|East Germany; 290 POL Poland; 300 AUT Austria-Hungary; 305 AUT Austria; 310 HUN Hungary; 315 CSK
Czechoslovakia; 316 CZE Czech Republic; 317 SVK Slovakia; 325 ITA Italy; 331 SMR San Marino; 338 MLT Malta; 339 ALB
Albania; 340 SRB Republic of Serbia; 341 MNE Montenegro; 343 MKD Macedonia; 344 HRV Croatia; 345 YUG
Yugoslavia|Serbia; 346 BIH Bosnia and Herzegovina|Bosnia-Herzegovina; 347 XKX Kosovo; 349 SVN Slovenia; 350 GRC
Greece; 352 CYP Cyprus; 355 BGR Bulgaria; 359 MDA Moldova; 360 ROU Romania; 365 RUS Russia|Soviet Union|USSR; 366 EST
Estonia; 367 LVA Latvia; 368 LTU Lithuania; 369 UKR Ukraine; 370 BLR Belarus; 371 ARM Armenia; 372 GEO Georgia; 373
AZE Azerbaijan; 375 FIN Finland; 380 SWE Sweden; 385 NOR Norway; 390 DNK Denmark; 395 ISL Iceland; 402 CPV Cape Verde;
403 STP Sao Tome and Principe; 404 GNB Guinea-Bissau; 411 GNQ Equatorial Guinea; 420 GMB Gambia|Gambia, The; 432 MLI
Mali; 433 SEN Senegal; 434 BEN Benin; 435 MRT Mauritania; 436 NER Niger; 437 CIV Ivory Coast|Cote d'Ivoire; 438 GIN
Guinea; 439 BFA Burkina Faso; 450 LBR Liberia; 451 SLE Sierra Leone; 452 GHA Ghana; 461 TGO Togo; 471 CMR Cameroon;
475 NGA Nigeria; 481 GAB Gabon; 482 CAF Central African Republic; 483 TCD Chad; 484 COG Congo
(Brazzaville)|Congo-Brazzaville (ROC)|Republic of the Congo; 490 COD Congo, Democratic Republic of the|Democratic
Republic of Congo|Zaire/DRC; 500 UGA Uganda; 501 KEN Kenya; 510 TZA Tanzania; 511 EAZ Zanzibar; 516 BDI Burundi; 517
RWA Rwanda; 520 SOM Somalia; 522 DJI Djibouti; 530 ETH Ethiopia|Ethiopia (excludes Eritrea); 531 ERI Eritrea; 540 AGO
Angola; 541 MOZ Mozambique; 551 ZMB Zambia; 552 ZWE Zimbabwe|Rhodesia; 553 MWI Malawi; 560 ZAF South Africa; 565 NAM
Namibia; 570 LSO Lesotho; 571 BWA Botswana; 572 SWZ Swaziland; 580 MDG Madagascar|Malagasy Republic; 581 COM Comoros;
590 MUS Mauritius; 591 SYC Seychelles; 600 MAR Morocco; 615 DZA Algeria; 616 TUN Tunisia; 620 LBY Libya; 625 SDN
Sudan; 626 SSD South Sudan; 630 IRN Iran; 640 TUR Turkey|Ottoman Empire; 645 IRQ Iraq; 651 EGY Egypt|Egypt, Arab Rep.;
652 SYR Syria; 660 LBN Lebanon; 663 JOR Jordan|Transjordan; 666 ISR Israel; 670 SAU Saudi Arabia; 678 YEM Yemen|Yemen,
North|Yemen Arab Republic|Republic of Yemen; 679 YEM Republic of Yemen since 1990; 680 YMD Yemen People's Republic;
690 KWT Kuwait; 692 BHR Bahrain; 694 QAT Qatar; 696 ARE United Arab Emirates; 698 OMN Oman; 700 AFG Afghanistan; 701
TKM Turkmenistan; 702 TJK Tajikistan; 703 KGZ Kyrgyzstan; 704 UZB Uzbekistan; 705 KAZ Kazakhstan; 710 CHN China; 711
XTB Tibetan state; 712 MNG Mongolia; 713 TWN Taiwan; 730 KOR Korea; 731 PRK Korea, North|North Korea; 732 KOR Korea,
South|South Korea; 740 JPN Japan; 750 IND India; 760 BTN Bhutan; 770 PAK Pakistan; 771 BGD Bangladesh; 775 MMR
Myanmar|Burma; 780 LKA Sri Lanka|Ceylon; 781 MDV Maldives; 790 NPL Nepal; 800 THA Thailand; 811 KHM Cambodia; 812 LAO
Laos; 816 VNM Vietnam|North Vietnam; 817 RVN South Vietnam; 820 MYS Malaysia|Malaya; 830 SGP Singapore; 835 BRN
Brunei; 840 PHL Philippines; 850 IDN Indonesia; 860 TLS East Timor; 900 AUS Australia; 910 PNG Papua New Guinea; 920
NZL New Zealand; 935 VUT Vanuatu; 940 SLB Solomon Islands; 946 KIR Kiribati; 947 TUV Tuvalu; 950 FJI Fiji; 955 TON
Tonga; 970 NRU Nauru; 983 MHL Marshall Islands; 986 PLW Palau; 987 FSM Micronesia; 990 WSM Samoa
"""

_ENTRIES = [entry.split(" ", 2) for entry in _STATES.strip().replace("\n", " ").split("; ")]
STATE_NUMBERS = {name.lower(): int(number) for number, _, names in _ENTRIES for name in names.split("|")}
STATE_NAMES = {int(number): names.split("|")[0] for number, _, names in _ENTRIES}
_CODES = {int(number): code for number, code, _ in _ENTRIES}
YUGOSLAVIA, SERBIA, SEPARATION = 345, 340, 2006  # some data sets keep the old number for the new state


def country_code(number: int, year: int) -> str | None:
    """Return the three-letter code of a state by its number, or None where the number is no state's.

    States that are gone have the code that ISO 3166 keeps for them, or one in use; Russia, Germany and
    Yemen stand under one code throughout.

    Examples
    --------
    >>> country_code(365, 1950), country_code(260, 1950), country_code(345, 1999), country_code(345, 2010)
    ('RUS', 'DEU', 'YUG', 'SRB')
    """
    if number == YUGOSLAVIA and year > SEPARATION:
        return _CODES[SERBIA]
    return _CODES.get(number)


def numbers_of_codes() -> dict[str, int]:
    """Return the number of each state of today by its code; states of one code have the later number.

    Examples
    --------
    >>> numbers_of_codes()["DEU"], numbers_of_codes()["YEM"]
    (260, 678)
    """
    later = {code: number for number, code in _CODES.items()}
    return {**later, "YEM": 678, "ROM": 360, "ZAR": 490}  # the World Bank's older codes stand beside the new


def state_number(place: str) -> int | None:
    """Return the number of a state, or None where a name is not that of one state.

    Examples
    --------
    >>> state_number("Soviet Union"), state_number("Zaire/DRC"), state_number("Tibet")
    (365, 490, None)
    """
    return STATE_NUMBERS.get(place.strip().lower())


def state_numbers(places: str) -> list[int]:
    """Return the numbers of the states in a list of names; names that are no state's are left out.

    Examples
    --------
    >>> state_numbers("Poland,Hungary"), state_numbers("Korea, North"), state_numbers("Balkans")
    ([290, 310], [731], [])
    """
    whole = state_number(places)
    if whole is not None:
        return [whole]
    return [number for place in places.split(",") if (number := state_number(place)) is not None]
